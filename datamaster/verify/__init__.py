"""Is the lake equal to its source? Silver row by row and column by column, with its history and the quality rules' results;
review_flat and gold by statements of their own.

The source is read in one snapshot by COPY, the lake through Athena's API; both meet in a DuckDB file of its own, so memory
stays bounded whatever the size of a table.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from datamaster.platform.query import Athena
from datamaster.verify.derived import GOLD, compare_flat, compare_gold, has_reviews
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

if TYPE_CHECKING:
    from datamaster.laptop.state import State

__all__ = ["Difference", "Report", "TableReport", "compare_lake", "verify"]

Progress = Callable[[str], None]


def verify(running: State, progress: Progress = lambda _text: None) -> Report:
    """Compare the lake of a running platform with its source, by the contracts in force.

    Raises what cannot be compared around (``AthenaUnreachable``, psycopg2's errors of the source); a table that the lake
    lacks or that cannot be read is a difference.
    """
    secret = boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["MASK_KEY_SECRET"])["SecretString"]
    athena = Athena(running.work_group, database="dm_silver")
    contracts = ContractStore(running.contracts_uri).current()
    return compare_lake(running.dsn, athena, contracts, ControlTable(running.control_table), bytes.fromhex(secret.strip()), progress)


def compare_lake(dsn: str, athena: Athena, contracts: ContractSet, control: ControlTable, mask_key: bytes, progress: Progress) -> Report:
    """The comparison itself; ``mask_key`` is the 32 bytes that hashed columns were hashed with."""
    started = time.monotonic()
    masks = {name: masked_columns(contract, control) for name, contract in contracts.tables.items()}
    reports: list[TableReport] = []
    with tempfile.TemporaryDirectory(prefix="dm-verify-") as folder, SourceSnapshot(dsn) as source, Workbench(Path(folder)) as bench:
        for name, contract in sorted(contracts.tables.items()):
            progress(f"dm_silver.{name}")
            reports.append(compare_silver(bench, source, athena, contract, masks[name], mask_key))
            if contract.history:
                progress(f"dm_silver.{name}_history")
                reports.append(compare_history(bench, athena, contract, masks[name]))
        if has_rules(contracts):
            progress(RESULTS)
            reports.append(compare_quality(bench, athena, contracts, masks))
        if has_reviews(contracts):
            progress("dm_silver.review_flat")
            reports.append(compare_flat(bench, athena, contracts))
            for gold in GOLD:
                progress(f"dm_gold.{gold.name}")
                reports.append(compare_gold(bench, source, athena, gold, contracts, masks, mask_key))
    return Report(tuple(reports), time.monotonic() - started)
