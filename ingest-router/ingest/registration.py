"""Registers raw objects in the control table. Registering an object twice changes nothing."""

from __future__ import annotations

from ingest.estimate import HEAD_BYTES, estimate_records
from ingest.raw_objects import ObjectGone, RawObject, RawObjects
from lake.contract import UnknownTable
from lake.contract.store import ContractStore
from lake.control import ControlTable, NewFile
from lake.control.records import CONTAINER, CSV, LAMBDA
from lake.errors import TerminalError
from lake.keys import RAW, is_export_manifest, table_of_raw_key
from lake.raw_names import check_name, format_of

REGISTERED, FAILED, KNOWN, IGNORED = "registered", "failed", "known", "ignored"


class EmptyObject(TerminalError):
    """The object has no bytes, not even an empty gzip member."""


class MisplacedObject(TerminalError):
    """The object's key names no table."""


class Registration:
    """Creates the control record of each raw object.

    A Lambda converts files of up to ``lambda_limit`` estimated records, a container the larger ones.
    """

    def __init__(self, control: ControlTable, contracts: ContractStore, objects: RawObjects, lambda_limit: int) -> None:
        self._control = control
        self._contracts = contracts
        self._objects = objects
        self._lambda_limit = lambda_limit

    def register(self, raw: RawObject) -> str:
        """Register one object. Returns ``registered``, ``failed`` (with its reason on the record), ``known`` or ``ignored``.

        Objects without rows are ignored: manifests that close an export, folder markers, objects that are already gone.
        """
        if not holds_rows(raw.key):
            return IGNORED
        try:
            new = self._described(raw)
        except ObjectGone:
            return IGNORED
        except TerminalError as error:
            known = not self._control.files.register_failed(_new_file(raw), type(error).__name__, str(error))
            return KNOWN if known else FAILED
        return REGISTERED if self._control.files.register(new) else KNOWN

    def _described(self, raw: RawObject) -> NewFile:
        table = table_of_raw_key(raw.key)
        contracts = self._contracts.current()
        if table is None:
            raise MisplacedObject(f'key "{raw.key}" names no table; expected raw/<table>/…, tables: {", ".join(sorted(contracts.tables))}')
        if table not in contracts.tables:
            raise UnknownTable(table, contracts.tables)
        if raw.size_bytes == 0:
            raise EmptyObject("the object has 0 bytes; a raw object is gzip")
        check_name(raw.key)
        records = estimate_records(self._objects.head(raw, HEAD_BYTES), raw.size_bytes, has_header=format_of(raw.key) == CSV)
        return _new_file(raw, records, LAMBDA if records <= self._lambda_limit else CONTAINER)


def holds_rows(key: str) -> bool:
    """Whether an object of the stage bucket is to be converted: under ``raw/``, and neither an export's manifest nor a folder marker."""
    return key.startswith(RAW) and not is_export_manifest(key) and not key.endswith("/")


def _new_file(raw: RawObject, records: int = 0, compute_target: str = LAMBDA) -> NewFile:
    return NewFile(
        bucket=raw.bucket,
        object_key=raw.key,
        version_id=raw.version_id,
        etag=raw.etag,
        table_name=table_of_raw_key(raw.key) or "unknown",
        file_format=format_of(raw.key),
        size_bytes=raw.size_bytes,
        records_estimated=records,
        compute_target=compute_target,
    )
