"""Compare the lake with its source: silver row by row and column by column, with history and quality results.

Derived tables are compared by their own SQL over the source's rows, or by checks of their domain.

The source is read in one snapshot by COPY, the lake through Athena's API. Both are loaded into a DuckDB file, so memory stays bounded for
tables of any size.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import boto3
import duckdb
import psycopg2

from datamaster.platform import Platform
from datamaster.platform.query import Athena
from datamaster.source.pg_catalog import UnknownSourceTable
from datamaster.verify.derived_tables import Checks, Sides, compare_derived, installed_checks, no_checks
from datamaster.verify.history_versions import compare_history
from datamaster.verify.masked_columns import masked_columns
from datamaster.verify.quality_results import RESULTS, compare_quality, has_rules
from datamaster.verify.report import Difference, Report, TableReport
from datamaster.verify.silver import compare_silver
from datamaster.verify.source_snapshot import SourceSnapshot
from datamaster.verify.workbench import Workbench
from lake.contract import ContractSet
from lake.contract.store import ContractStore
from lake.control import ControlTable

__all__ = ["Checks", "Difference", "Report", "TableReport", "compare_lake", "verify_lake"]

Progress = Callable[[str], None]


def verify_lake(running: Platform, progress: Progress = lambda _text: None) -> Report:
    """Compare the lake of a running platform with its source, by the contracts in force.

    A table missing in the lake is a difference. A table that cannot be compared is named with the reason. Raises ``AthenaUnreachable``,
    ``SourceLost``.
    """
    secret = boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["MASK_KEY_SECRET"])["SecretString"]
    athena = Athena(running.work_group, database="dm_silver")
    contracts = ContractStore(running.contracts_uri).current()
    control, mask_key = ControlTable(running.control_table), bytes.fromhex(secret.strip())
    return compare_lake(running.dsn, athena, contracts, control, mask_key, progress, installed_checks)


def compare_lake(
    dsn: str,
    athena: Athena,
    contracts: ContractSet,
    control: ControlTable,
    mask_key: bytes,
    progress: Progress,
    checks: Checks = no_checks,
) -> Report:
    """The comparison itself. ``mask_key`` is the 32-byte key of hashed columns."""
    started = time.monotonic()
    masks = {name: masked_columns(contract, control) for name, contract in contracts.tables.items()}
    reports: list[TableReport] = []

    def add(table: str, compare: Callable[..., TableReport], *arguments: object) -> None:
        progress(table)
        reports.append(_guarded(table, lambda: compare(*arguments)))

    with tempfile.TemporaryDirectory(prefix="dm-verify-") as folder, SourceSnapshot(dsn) as source, Workbench(Path(folder)) as bench:
        for name, contract in sorted(contracts.tables.items()):
            add(f"dm_silver.{name}", compare_silver, bench, source, athena, contract, masks[name], mask_key)
            if contract.history:
                add(f"dm_silver.{name}_history", compare_history, bench, athena, contract, masks[name])
        if has_rules(contracts):
            add(RESULTS, compare_quality, bench, athena, contracts, masks)
        own, sides = checks(contracts), Sides(bench, source, athena, contracts, masks, mask_key)
        for derived in sorted(contracts.derived.values(), key=lambda table: (table.layer == "gold", table.name)):
            add(f"dm_{derived.layer}.{derived.name}", own.get(derived.name, partial(compare_derived, derived)), sides)
    return Report(tuple(reports), time.monotonic() - started)


def _guarded(table: str, compare: Callable[[], TableReport]) -> TableReport:
    """One table's report. An error of the source or DuckDB is reported for this table only."""
    try:
        return compare()
    except duckdb.CatalogException:
        return TableReport.undecided(table, "a table of the source that it is compared with could not be read")
    except (psycopg2.Error, duckdb.Error, UnknownSourceTable) as error:
        return TableReport.undecided(table, str(error).strip().splitlines()[0])
