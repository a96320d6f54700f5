"""Ten fixed scenarios, and maintenance after them, leave the same rows on Sail and on Apache Spark 3.5 with Iceberg (make conformance)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batches import maintenance_batches
from beer import CONTRACTS as BEER_CONTRACTS
from tests.integration.jobs.apache_spark import PYTHON, spark_driver
from tests.integration.jobs.domain import Change, Lake, another_writer, delete, insert, load, rekey, update

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not PYTHON, reason="Apache Spark is set up by make conformance"),
]
MARCH, APRIL = 1583020800, 1585699200

CONTRACTS = """
apiVersion: v3.0.2
kind: DataContract
id: wide
version: 1.0.0
schema:
  - name: wide
    physicalName: app.wide
    properties:
      - {name: part, physicalType: varchar(10), primaryKey: true, primaryKeyPosition: 1, required: true, classification: public}
      - {name: wide_id, physicalType: bigint, primaryKey: true, primaryKeyPosition: 2, required: true}
      - {name: amount, physicalType: "numeric(12,2)", quality: [{metric: range, mustBeBetween: [0, 1000], severity: quarantine}]}
      - {name: born, physicalType: date}
      - {name: seen, physicalType: timestamptz}
      - {name: open, physicalType: boolean}
      - {name: share, physicalType: real}
      - {name: body, physicalType: text, classification: public}
      - {name: photo, physicalType: bytea}
    customProperties:
      - {property: history, value: true}
"""

Round = list[Change | tuple[Change, ...]]


def beer(operation: Callable[..., Change], position: float, number: int, name: str = "Saison") -> Change:
    return operation("beer", position, beer_id=number, beer_name=name)


def wide(operation: Callable[..., Change], position: float, number: int, unchanged: tuple[str, ...] = (), **columns: Any) -> Change:
    extra = {"unchanged": unchanged} if unchanged else {}
    return operation("wide", position, part="a", wide_id=number, **extra, **columns)


def moved(position: float, old: int, new: int) -> tuple[Change, Change]:
    return rekey("wide", position, {"part": "a", "wide_id": old}, {"part": "a", "wide_id": new}, unchanged=("body", "photo"))


SCENARIOS: dict[str, list[Round]] = {
    "several changes of a row in one batch": [[beer(insert, 1, 100), beer(update, 3, 100, "c"), beer(update, 2, 100, "b")]],
    "files out of order": [[beer(update, 3, 110, "last")], [beer(insert, 1, 110, "first")], [beer(update, 2, 110, "middle")]],
    "insert, delete, insert": [[beer(insert, 1, 120), delete("beer", 2, beer_id=120)], [beer(insert, 3, 120, "again")]],
    "a delete before its insert": [[delete("beer", 5, beer_id=130)], [beer(insert, 1, 130)]],
    "a swap of two keys": [
        [beer(insert, 1, 140, "one"), beer(insert, 2, 141, "two")],
        [rekey("beer", 12, {"beer_id": 149}, {"beer_id": 141}, beer_name="one")],
        [
            rekey("beer", 11, {"beer_id": 141}, {"beer_id": 140}, beer_name="two"),
            rekey("beer", 10, {"beer_id": 140}, {"beer_id": 149}, beer_name="one"),
        ],
    ],
    "a review that moves month": [
        [
            insert("review", 1, review_id=1, review_time=MARCH, beer_id=100),
            insert("review", 2, review_id=2, review_time=MARCH, beer_id=110),
        ],
        [update("review", 3, review_id=1, review_time=APRIL, beer_id=100, review_overall=2.5)],
    ],
    "a review deleted by its key": [
        [insert("review", 11, review_id=3, review_time=APRIL, beer_id=120)],
        [delete("review", 12, review_id=3), delete("review", 13, review_id=4)],
    ],
    "rows without a position": [
        [load("beer", 1, None, beer_id=160, beer_name="foreign")],
        [load("beer", 1, beer_id=160, beer_name="known"), load("beer", 1, None, beer_id=161, beer_name="foreign")],
    ],
    "every type, nulls, and a rule that holds a row back": [
        [
            wide(insert, 1, 1, amount=1, body="é\"',", photo=b"\x00\xff", open=True, share=0.5),
            wide(insert, 2, 2),
            wide(insert, 3, 3, amount=2000),
        ],
        [wide(update, 4, 1, ("body", "photo"), amount=2), wide(update, 5, 2, body="")],
    ],
    "a key change without its text, which arrives late": [
        [moved(20, 10, 11)],
        [moved(30, 11, 12), wide(update, 40, 12, ("body", "photo"), open=False)],
        [wide(insert, 10, 10, body="late", photo=b"\x01")],
    ],
}
ROUNDS = 3
MONTH_FILES = 2
KEYS = {"beer": "beer_id", "review": "review_id", "wide": "wide_id"}


def maintain(lake: Lake) -> None:
    """Compact every table and expire its old snapshots: few files are left, and by the comparison after it the same rows."""
    maintenance = maintenance_batches.Maintenance.of(lake.settings(), lake.execution)
    batches = maintenance.plan(keep_days=0).batches
    assert {"beer", "review", "review_flat", "quality_results"} <= {batch["table"] for batch in batches}
    for batch in batches:
        lake.run(batch, "maintenance")
        for table in maintenance.settle(batch)["tables"]:
            assert table["partitions_rewritten"] or table["table"] != "beer", table
            assert table["after"]["files"] <= MONTH_FILES * max(1, table["after"]["partitions"])


def play(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """Everything on one lake, round by round; returns the rows of every table, read by PyIceberg."""
    from jobs.iceberg.catalog import catalog

    for turn in range(ROUNDS):
        for rounds in SCENARIOS.values():
            if turn < len(rounds):
                by_table: dict[str, Round] = {}
                for entry in rounds[turn]:
                    by_table.setdefault((entry[0] if isinstance(entry, tuple) else entry).table, []).append(entry)
                for entries in by_table.values():
                    lake.arrives(*entries)
        lake.merge()
        lake.build_review_flat()
    lake.build_gold()
    for number in range(3):  # each leaves a file
        lake.arrives(beer(insert, 300 + number, 300 + number))
        lake.merge("beer")
    maintain(lake)
    lake.arrives(update("review", 20, review_id=1, review_time=MARCH, beer_id=100), delete("review", 21, review_id=2))
    lake.merge("review")  # finds both by the index of keys
    tables = [name for database in ("dm_silver", "dm_gold") for name in catalog().list_tables(database)]
    return {name[-1]: catalog().load_table(name).scan().to_arrow().to_pylist() for name in tables}


TIMES = {"created_at", "updated_at", "checked_at", "batch_id"}


def comparable(rows: list[dict[str, Any]]) -> list[str]:
    """Rows without the time of the run, in one order."""
    plain = ({k: v is not None if k == "deleted_at" else v for k, v in row.items() if k not in TIMES} for row in rows)
    return sorted(repr(sorted(row.items())) for row in plain)


@pytest.mark.timeout(1800)
def test_both_engines_leave_the_same_rows(
    make_lake: Callable[[Path], Lake], tmp_path: Path, subtests: pytest.Subtests, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.silver import key_index

    monkeypatch.setattr(key_index, "FROM_FILES", 1)
    shutil.copytree(BEER_CONTRACTS, tmp_path, dirs_exist_ok=True)
    (tmp_path / "wide.yaml").write_text(CONTRACTS)
    sail = play(make_lake(tmp_path))
    lake = make_lake(tmp_path)
    with spark_driver(os.environ, lake.names["lake"], tmp_path / "spark.log") as run:
        lake.run = lambda batch, job="bronze_to_silver": run(job, batch["manifest"])  # type: ignore[method-assign]
        spark = play(lake)

    for scenario, rounds in SCENARIOS.items():
        with subtests.test(scenario):
            changes = [c for entries in rounds for entry in entries for c in (entry if isinstance(entry, tuple) else (entry,))]
            table, key = changes[0].table, KEYS[changes[0].table]
            numbers = {change.columns[key] for change in changes}
            rows = [comparable([row for row in found[table] if row[key] in numbers]) for found in (sail, spark)]
            assert rows[0]
            assert rows[0] == rows[1]
    assert sail["review_keys"]
    for table in sorted({*sail, *spark}):
        with subtests.test(table):
            assert comparable(sail[table]) == comparable(spark[table])


@pytest.mark.timeout(600)
def test_spark_too_makes_a_merge_again_that_another_commit_overtook(lake: Lake, tmp_path: Path) -> None:
    log = tmp_path / "spark.log"
    with spark_driver(os.environ, lake.names["lake"], log) as run:
        lake.run = lambda batch, job="bronze_to_silver": run(job, batch["manifest"])  # type: ignore[method-assign]
        lake.arrives(*(beer(insert, n, n) for n in range(20)))
        lake.merge("beer")
        with another_writer(lambda: "came between" in log.read_text()) as written:
            lake.arrives(*(beer(update, 100 + n, n, "Gose") for n in range(20)))
            lake.merge("beer")

    assert "another commit to beer came between" in log.read_text()
    rows = {row["beer_id"]: row["beer_name"] for row in lake.live_rows("beer")}
    assert [rows.pop(number) for number in range(20)] == ["Gose"] * 20
    assert sorted(rows) == written
