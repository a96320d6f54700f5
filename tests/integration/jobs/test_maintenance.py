"""Maintenance keeps every row, leaves few files, and never works beside a writer of the same table."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from batches import maintenance_batches
from lake.keys import split_uri
from lake.manifests import read_document, utc_now, write_document
from tests.integration.jobs.domain import Lake, insert, update

pytestmark = pytest.mark.integration
MARCH, APRIL = 1583020800, 1585699200


def maintenance(lake: Lake) -> Any:
    return maintenance_batches.Maintenance.of(lake.settings(), lake.execution)


def maintain(lake: Lake, *tables: str, keep_days: float = 0, orphans_now: bool = False) -> list[dict[str, Any]]:
    """Plan, run and settle, as the state machine does; returns what was done to each table."""
    done = []
    for batch in maintenance(lake).plan(tables, keep_days).batches:
        if orphans_now:
            document = read_document(batch["manifest"])
            document |= {"orphans_before": (utc_now() + timedelta(minutes=1)).isoformat()}
            write_document(batch["manifest"], document)
        lake.run(batch, "maintenance")
        done += maintenance(lake).settle(batch)["tables"]
    return done


def month_files(lake: Lake, table: str) -> dict[tuple[int, ...], int]:
    from jobs.iceberg.catalog import catalog
    from jobs.iceberg.inventory import live_files

    found: dict[tuple[int, ...], int] = {}
    for file in live_files(catalog().load_table(("dm_silver", table))):
        found[file.partition] = found.get(file.partition, 0) + 1
    return found


def keys_under(uri: str) -> set[str]:
    bucket, prefix = split_uri(uri)
    return {entry["Key"] for entry in boto3.client("s3").list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/").get("Contents", ())}


def reviews_in_many_files(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Merge-on-read leaves a file a batch, and delete files beside them where rows changed."""
    from jobs.iceberg import tables

    monkeypatch.setattr(tables, "PROPERTIES", tables.PROPERTIES | {f"write.{what}.mode": "merge-on-read" for what in ("merge", "update")})
    for number in range(3):
        lake.arrives(
            *(insert("review", 10 + number, review_id=number * 2 + n, review_time=month) for n, month in enumerate((MARCH, APRIL)))
        )
        lake.merge("review")


def test_a_month_has_at_most_two_files_and_the_same_rows(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    reviews_in_many_files(lake, monkeypatch)
    rows = sorted(map(str, lake.rows("review")))
    assert max(month_files(lake, "review").values()) > 2

    (done,) = maintain(lake, "review")

    assert sorted(map(str, lake.rows("review"))) == rows
    assert max(month_files(lake, "review").values()) <= 2
    assert (done["before"]["files"], done["after"]["files"], done["partitions_rewritten"]) == (6, 2, 2)
    assert lake.merge("review") == []


def test_delete_files_are_gone_and_the_rows_they_deleted_with_them(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    reviews_in_many_files(lake, monkeypatch)
    lake.arrives(update("review", 50, review_id=0, review_time=MARCH, review_overall=1.0))
    lake.merge("review")
    rows = sorted(map(str, lake.rows("review")))

    (done,) = maintain(lake, "review")

    assert done["before"]["delete_files"] > 0
    assert (done["after"]["delete_files"], done["after"]["files"]) == (0, 2)
    assert sorted(map(str, lake.rows("review"))) == rows


def test_old_snapshots_are_expired_and_their_files_removed_at_once(lake: Lake) -> None:
    from jobs.iceberg.catalog import catalog
    from jobs.iceberg.inventory import named_objects, stored_objects

    for number in range(3):
        lake.arrives(insert("beer", 10 + number, beer_id=number))
        lake.merge("beer")
    once_named = named_objects(catalog().load_table(("dm_silver", "beer")))

    (done,) = maintain(lake, "beer")

    named = named_objects(catalog().load_table(("dm_silver", "beer")))
    stored = {entry.uri for entry in stored_objects(f"s3://{lake.names['lake']}/silver/beer")}
    assert (done["snapshots_expired"], done["after"]["snapshots"]) == (done["before"]["snapshots"], 1)
    assert stored & (once_named - named) == set()
    assert named <= stored
    assert [row["beer_id"] for row in lake.live_rows("beer")] == [0, 1, 2]


def test_young_snapshots_stay_readable(lake: Lake) -> None:
    for number in range(2):
        lake.arrives(insert("beer", 10 + number, beer_id=number))
        lake.merge("beer")

    (done,) = maintain(lake, "beer", keep_days=1)

    assert done["snapshots_expired"] == 0


def test_an_object_that_nothing_names_is_removed_only_when_it_is_old(lake: Lake) -> None:
    lake.arrives(insert("beer", 10, beer_id=7))
    lake.merge("beer")
    orphan = "silver/beer/data/orphan.parquet"
    root = f"s3://{lake.names['lake']}/silver/beer"
    boto3.client("s3").put_object(Bucket=lake.names["lake"], Key=orphan, Body=b"of a job that was killed")

    maintain(lake, "beer")
    assert orphan in keys_under(root)

    maintain(lake, "beer", orphans_now=True)
    assert orphan not in keys_under(root)
    assert [row["beer_id"] for row in lake.live_rows("beer")] == [7]


def test_nothing_is_removed_where_the_listing_lacks_files_of_the_snapshot(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.upkeep import upkeep_job as job

    lake.arrives(insert("beer", 10, beer_id=7))
    lake.merge("beer")
    (batch,) = maintenance(lake).plan(["beer"], 0).batches
    monkeypatch.setattr(job, "stored_objects", lambda root: [])

    with pytest.raises(job.MissingFiles, match="S3 does not list 1 files of its snapshot"):
        lake.run(batch, "maintenance")


def test_history_its_changes_and_the_quality_results_are_looked_after(make_lake: Any, tmp_path: Path, contracts: Path) -> None:
    for path in contracts.glob("*.yaml"):
        text = path.read_text()
        if path.name == "beer.yaml":
            document = yaml.safe_load(text)
            properties = document["schema"][0].setdefault("customProperties", [])
            properties.append({"property": "history", "value": True})
            text = yaml.safe_dump(document)
        (tmp_path / path.name).write_text(text)
    lake = make_lake(tmp_path)
    for number in range(4):  # each ends a version of the first beer
        changed = update("beer", 20 + number, number + 2, beer_id=0, beer_name=f"Saison {number}")
        lake.arrives(insert("beer", 10 + number, beer_id=number), changed)
        lake.merge("beer")
    versions = sorted(map(str, lake.rows("beer_history")))

    done = {table["table"]: table for table in maintain(lake)}

    assert {"beer", "beer_history", "beer_changes", "quality_results"} <= set(done)
    assert all(table["after"]["files"] <= 2 * table["after"]["partitions"] and table["after"]["snapshots"] <= 2 for table in done.values())
    assert done["beer_changes"]["partitions_rewritten"] == 1  # four batches left four files
    assert sorted(map(str, lake.rows("beer_history"))) == versions
    assert len(versions) == 8


def test_a_table_is_never_maintained_beside_its_writer(lake: Lake) -> None:
    lake.arrives(insert("beer", 10, beer_id=7))
    lake.merge("beer")
    lake.arrives(insert("beer", 20, beer_id=8))
    (merging,) = lake.plan("beer")

    plan = maintenance(lake).plan(["beer"])

    assert plan.batches == []
    assert plan.skipped == [{"table": "beer", "reason": f"batch {merging['batch_id']} is open; it is finished first"}]


def test_a_table_is_never_written_beside_its_maintenance(lake: Lake) -> None:
    lake.arrives(insert("beer", 10, beer_id=7))
    lake.merge("beer")
    (batch,) = maintenance(lake).plan(["beer"]).batches
    lake.arrives(insert("beer", 20, beer_id=8))

    plan = lake.planner().silver(["beer"])

    assert plan.batches == []
    assert f"batch {batch['batch_id']} is held by execution-1 until" in plan.skipped[0]["reason"]


@pytest.mark.parametrize("ending", ["failed", "lease ran out"])
def test_a_table_is_free_again_when_its_maintenance_has_died(lake: Lake, ending: str) -> None:
    lake.arrives(insert("beer", 10, beer_id=7))
    lake.merge("beer")
    (batch,) = maintenance(lake).plan(["beer"]).batches
    if ending == "failed":
        answer = maintenance(lake).settle(batch | {"error": {"Error": "States.TaskFailed", "Cause": "killed"}})
        assert answer["status"] == "released"
    else:
        lake.control.batches.release("silver/beer", batch["batch_id"], None)
    lake.arrives(insert("beer", 20, beer_id=8))

    lake.merge("beer")

    assert [row["beer_id"] for row in lake.live_rows("beer")] == [7, 8]


def test_what_cannot_be_maintained_is_refused_by_name(lake: Lake) -> None:
    assert maintenance(lake).plan(["ale"]).skipped[0]["reason"].startswith("no such table; known: beer, brewery, profile, review")
    with pytest.raises(Exception, match="keep_days is -1; a number of days, 0 or more"):
        maintenance(lake).plan(["beer"], -1)
    assert maintenance(lake).plan(["beer"]).skipped == [{"table": "beer", "reason": "was never built"}]
