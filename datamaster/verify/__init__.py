"""Compare the lake with its source: silver row by row and column by column, with history and quality results.

Derived tables are compared by their own SQL over the source's rows, or by checks of their domain.

The source is read in one snapshot by COPY, the lake through Athena's API. Both are loaded into a DuckDB file, so memory stays bounded for
tables of any size.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import boto3
import duckdb
import psycopg2
from botocore.exceptions import ClientError

from datamaster.platform import Platform
from datamaster.platform.aws_errors import DENIED, code_of
from datamaster.platform.query import Athena
from datamaster.source.pg_catalog import UnknownSourceTable
from datamaster.verify.derived_tables import Checks, Sides, compare_derived, installed_checks, no_checks
from datamaster.verify.history_versions import compare_history
from datamaster.verify.masked_columns import masked_columns
from datamaster.verify.quality_results import RESULTS, compare_quality, has_rules
from datamaster.verify.report import Difference, Report, TableReport
from datamaster.verify.silver import NO_MASK_KEY, compare_silver, unknown
from datamaster.verify.source_snapshot import SourceSnapshot
from datamaster.verify.workbench import Workbench
from lake.contract import ContractSet, DerivedTable
from lake.contract.store import ContractStore
from lake.control import ControlTable

__all__ = ["Checks", "Difference", "Report", "TableReport", "compare_lake", "verify_lake"]

Progress = Callable[[str], None]


def verify_lake(running: Platform, progress: Progress = lambda _text: None) -> Report:
    """Compare the lake of a running platform with its source, by the contracts in force.

    A table missing in the lake is a difference. A table that cannot be compared is named with the reason. Raises ``AthenaUnreachable``,
    ``SourceLost``, ``SourceOutOfReach``.
    """
    dsn = running.source
    athena = Athena(running.work_group, database="dm_silver")
    contracts = ContractStore(running.contracts_uri).current()
    return compare_lake(dsn, athena, contracts, ControlTable(running.control_table), _mask_key(), progress, installed_checks)


def _mask_key() -> bytes | None:
    """The key of hashed columns. None if this identity may not read it: in an account that is the converter's right alone."""
    try:
        secret = boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["MASK_KEY_SECRET"])["SecretString"]
    except ClientError as error:
        if code_of(error) in DENIED:
            return None
        raise
    return bytes.fromhex(secret.strip())


def compare_lake(
    dsn: str,
    athena: Athena,
    contracts: ContractSet,
    control: ControlTable,
    mask_key: bytes | None,
    progress: Progress,
    checks: Checks = no_checks,
) -> Report:
    """The comparison itself. ``mask_key`` is the 32-byte key of hashed columns. Without it they are not compared."""
    started = time.monotonic()
    masks = {name: masked_columns(contract, control) for name, contract in contracts.tables.items()}
    hashed = {name: unknown(mask, mask_key) for name, mask in masks.items()}
    reports: list[TableReport] = []

    def add(table: str, compare: Callable[..., TableReport], *arguments: object) -> None:
        progress(table)
        reports.append(_guarded(table, lambda: compare(*arguments)))

    with tempfile.TemporaryDirectory(prefix="dm-verify-") as folder, SourceSnapshot(dsn) as source, Workbench(Path(folder)) as bench:
        for name, contract in sorted(contracts.tables.items()):
            add(f"dm_silver.{name}", compare_silver, bench, source, athena, contract, masks[name], mask_key)
            if contract.history and hashed[name]:
                reports.append(TableReport.undecided(f"dm_silver.{name}_history", f"columns are hashed, {NO_MASK_KEY}"))
            elif contract.history:
                add(f"dm_silver.{name}_history", compare_history, bench, athena, contract, masks[name])
        if has_rules(contracts):
            add(RESULTS, compare_quality, bench, athena, contracts, masks)
        own, sides = checks(contracts), Sides(bench, source, athena, contracts, masks, mask_key)
        for derived in sorted(contracts.derived.values(), key=lambda table: (table.layer == "gold", table.name)):
            if column := _read_of(derived, contracts, hashed):
                reason = f'it reads column "{column}", which is hashed, {NO_MASK_KEY}'
                reports.append(TableReport.undecided(f"dm_{derived.layer}.{derived.name}", reason))
            else:
                add(f"dm_{derived.layer}.{derived.name}", own.get(derived.name, partial(compare_derived, derived)), sides)
    return Report(tuple(reports), time.monotonic() - started)


def _read_of(table: DerivedTable, contracts: ContractSet, hashed: Mapping[str, frozenset[str]]) -> str | None:
    """A column among ``hashed`` that a derived table reads, itself or through another. None if there is none."""
    below = [contracts.derived[name] for name in table.sources if name in contracts.derived]
    found = [column for name in table.sources for column in hashed.get(name, ()) if re.search(rf"\b{re.escape(column)}\b", table.sql)]
    return next(iter([*found, *filter(None, (_read_of(other, contracts, hashed) for other in below))]), None)


def _guarded(table: str, compare: Callable[[], TableReport]) -> TableReport:
    """One table's report. An error of the source or DuckDB is reported for this table only."""
    try:
        return compare()
    except duckdb.CatalogException:
        return TableReport.undecided(table, "a table of the source that it is compared with could not be read")
    except (psycopg2.Error, duckdb.Error, UnknownSourceTable) as error:
        return TableReport.undecided(table, str(error).strip().splitlines()[0])
