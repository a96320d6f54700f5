"""Published contracts: ``<root>/current`` names a version, ``<root>/<version>/`` holds its files and never changes.
``<root>/names.json`` holds the columns that names have meant in any of them.

The functions know only the root. A new table therefore deploys nothing but the contracts.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from lake.clients import s3
from lake.contract import Contract, ContractSet, InvalidContract, contract_files
from lake.contract.renames import KnownNames, known_names, names_of
from lake.errors import TerminalError
from lake.keys import contract_of_raw_key, split_uri

POINTER_TTL_SECONDS = 15.0
INDEX = "index.json"
NAMES = "names.json"
READERS = 8


class UnknownContractVersion(TerminalError):
    """No contracts are published under this version."""


class ContractStore:
    """Reads contracts by version and caches them. It reads the pointer again every 15 seconds."""

    def __init__(self, uri: str) -> None:
        self._bucket, prefix = split_uri(uri)
        self._prefix = prefix.rstrip("/") + "/" if prefix else ""
        self._versions: dict[str, ContractSet] = {}
        self._pointer = ("", float("-inf"))

    def _read(self, name: str) -> bytes:
        try:
            body: bytes = s3().get_object(Bucket=self._bucket, Key=self._prefix + name)["Body"].read()
        except s3().exceptions.NoSuchKey:
            raise UnknownContractVersion(
                f"s3://{self._bucket}/{self._prefix}{name} does not exist; publish by dm contract publish, on AWS by dm deploy"
            ) from None
        return body

    def current(self, since: str | None = None) -> ContractSet:
        """The contracts in force. They are not older than the version ``since``."""
        version, read_at = self._pointer
        if time.monotonic() - read_at > POINTER_TTL_SECONDS or since not in (None, version):
            version = self._read("current").decode().strip()
            self._pointer = (version, time.monotonic())
        return self.at(version)

    def reading(self, key: str, table: str, version: str | None = None) -> tuple[ContractSet, Contract]:
        """The contracts that read a raw object, and its table's, by the names under which its lines were written.

        They are those of ``version``, or those in force.
        """
        written = contract_of_raw_key(key)
        contracts = self.at(version) if version else self.current(written)
        contract = contracts.table(table)
        if written and written != contracts.version:
            contract = contract.named_as(self.at(written).table(table))
        return contracts, contract

    def in_force_everywhere_in(self) -> float:
        """Seconds until every process has read the pointer that is there now."""
        written: datetime = s3().head_object(Bucket=self._bucket, Key=f"{self._prefix}current")["LastModified"]
        return max(0.0, POINTER_TTL_SECONDS - (datetime.now(UTC) - written).total_seconds())

    def names(self) -> dict[str, Any]:
        """The document that ``publish`` keeps of every table's names. Empty before the first."""
        try:
            document: dict[str, Any] = orjson.loads(self._read(NAMES))
        except UnknownContractVersion:
            return {}
        return document

    def at(self, version: str) -> ContractSet:
        """The contracts of one version. Raises ``UnknownContractVersion``."""
        if version not in self._versions:
            names = orjson.loads(self._read(f"{version}/{INDEX}"))
            with ThreadPoolExecutor(READERS) as pool:
                texts = pool.map(lambda name: self._read(f"{version}/{name}").decode(), names)
                self._versions[version] = ContractSet.of(dict(zip(names, texts, strict=True)))
        return self._versions[version]


def publish(folder: Path, uri: str, reloaded: Collection[str] = ()) -> str:
    """Validate a folder of contracts and derived tables, write it under its version and point ``current`` at it. Returns the version.

    Raises ``InvalidContract`` before anything is written, also for a change that the names published so far do not allow.
    The caller loads the tables ``reloaded`` anew.
    """
    files = contract_files(folder)
    contracts = ContractSet.from_directory(folder)
    names = known_names(published_names(uri), contracts.tables, reloaded)
    bucket, prefix = split_uri(uri)
    root = prefix.rstrip("/") + "/" if prefix else ""
    for name, text in files.items():
        s3().put_object(Bucket=bucket, Key=f"{root}{contracts.version}/{name}", Body=text.encode())
    s3().put_object(Bucket=bucket, Key=f"{root}{contracts.version}/{INDEX}", Body=orjson.dumps(list(files)))
    s3().put_object(Bucket=bucket, Key=f"{root}{NAMES}", Body=orjson.dumps(names))
    s3().put_object(Bucket=bucket, Key=f"{root}current", Body=contracts.version.encode())
    return contracts.version


def published_names(uri: str) -> dict[str, KnownNames]:
    """The names of every table so far. Empty if no contracts are in force, or none can be read."""
    store = ContractStore(uri)
    try:
        tables = store.current().tables
    except (UnknownContractVersion, InvalidContract):
        return {}
    return names_of(tables, {table: KnownNames.of(document) for table, document in store.names().items()})
