"""Check ``<table>_history``: current versions against the source, past versions for consistency.

The source keeps no past. So past versions are only checked for this: the versions of a key follow one another, and the last is current
exactly if the source has the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from datamaster.platform.query import Athena, QueryFailed
from datamaster.verify.report import SHOWN, Difference, TableReport
from datamaster.verify.silver import source_table, unread
from datamaster.verify.source_snapshot import names
from datamaster.verify.values import both_forms
from datamaster.verify.workbench import Workbench, quoted
from lake.contract import Contract

TIMES = ("valid_from", "valid_to")
ORDER = ("cdc_generation", "cdc_position")


def compare_history(bench: Workbench, athena: Athena, contract: Contract, masks: Mapping[str, str]) -> TableReport:
    """Compare dm_silver.<table>_history with the source's rows, which ``compare_silver`` left on the bench.

    Columns that updates may leave out are not compared: after a key change they are null until the new key writes them.
    """
    name = f"dm_silver.{contract.table}_history"
    wanted = (*names(contract.columns), *TIMES, "is_current", *ORDER)
    path = bench.folder / "history.csv"
    try:
        athena.download(
            f"SELECT {', '.join(quoted(column) for column in wanted)} FROM dm_silver.{quoted(contract.table + '_history')}", path
        )
    except QueryFailed as error:
        return unread(name, error)
    values = both_forms(contract.columns, masks)
    values |= {time: f"TRY_CAST(regexp_replace({time}, ' UTC$', '') AS TIMESTAMP)" for time in TIMES}
    values |= {
        "is_current": "TRY_CAST(is_current AS BOOLEAN)",
        "cdc_generation": "TRY_CAST(cdc_generation AS BIGINT)",
        "cdc_position": "cdc_position",
    }
    bench.load("versions", path, wanted, values)
    bench.run("CREATE OR REPLACE VIEW current_versions AS SELECT * FROM versions WHERE is_current")
    keys = names(contract.key)
    compared = [column.name for column in contract.columns if column.key is None and not column.may_be_unchanged]
    report = bench.compare(name, source_table(contract.table), "current_versions", keys, compared)
    return _with_chain(bench, report, keys)


def _with_chain(bench: Workbench, report: TableReport, keys: tuple[str, ...]) -> TableReport:
    """Adds the versions whose time is wrong: the next begins before they end, or they end and are current, or neither."""
    key = ", ".join(quoted(name) for name in keys)
    order = ", ".join(("valid_from", *ORDER))
    overlap = "following IS NOT NULL AND (valid_to IS NULL OR following < valid_to)"
    wrong = f"is_current <> (valid_to IS NULL) OR valid_to < valid_from OR ({overlap})"
    bench.run(
        f"CREATE OR REPLACE VIEW broken_versions AS SELECT * FROM "
        f"(SELECT *, lead(valid_from) OVER (PARTITION BY {key} ORDER BY {order}) AS following FROM versions) WHERE {wrong}"
    )
    shown = " || ', ' || ".join(f"'{name} ' || CAST({quoted(name)} AS VARCHAR)" for name in keys)
    told = f"{shown}, CAST(following AS VARCHAR), CAST(valid_to AS VARCHAR), is_current"
    rows = bench.rows(f"SELECT {told} FROM broken_versions ORDER BY {key} LIMIT {SHOWN}")
    if not rows:
        return report
    first = []
    for told, following, to, now in rows:
        wanted = f"at most {following}" if following else "null where and only where is_current"
        first.append(Difference(report.table, told, "valid_to", wanted, f"{to}, is_current {now}"))
    count = bench.rows("SELECT count(*) FROM broken_versions")[0][0]
    return replace(report, counts={**report.counts, "valid_to": count}, first=(*report.first, *first))
