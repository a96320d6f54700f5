"""Batch exports: one snapshot, a place in the order of changes, a manifest, and a watermark that moves last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import MagicMock

import psycopg2
import psycopg2.extras
import pytest

import beer
from datamaster.aws.deploy.stacks import Outputs
from datamaster.source.introspect import contract_yaml
from export import load, parallel_copy, statements, table_export
from export.table_export import ExportFailed, NotRegistered, export_table
from export.task import main
from lake.cdc import ZERO_POSITION, Position
from lake.contract import parse_contract
from lake.contract.store import publish
from lake.control.records import timestamp
from lake.control.target_items import ExportedLoad
from lake.generations import Fence
from tests.integration.export.conftest import CONTRACTS, NO_CHANGES, Shop, registering

pytestmark = pytest.mark.integration

REVIEW = CONTRACTS.table("review")
BREWERY = CONTRACTS.table("brewery")


def add_reviews(shop: Shop, first: int, last: int, time: str = "1700000000 + n") -> None:
    shop.run(f"INSERT INTO dm_core.review SELECT n, 1, 1, 1, 4.5, NULL, 3, 3, 3, {time} FROM generate_series({first}, {last}) n")


def test_a_whole_export_holds_every_row_of_its_snapshot(shop: Shop) -> None:
    add_reviews(shop, 1, 1000)

    export = export_table(shop.dsn, shop.bucket, REVIEW, registering(shop, "review"), whole=True)

    rows = shop.rows(export)
    assert sorted(int(row["review_id"]) for row in rows) == list(range(1, 1001))
    assert {row["operation"] for row in rows} == {"load"}
    assert {row["review_aroma"] for row in rows} == {""}


def test_the_manifest_lists_every_object_with_its_rows(shop: Shop) -> None:
    add_reviews(shop, 1, 60_000)

    export = export_table(shop.dsn, shop.bucket, REVIEW, registering(shop, "review"), whole=True, object_bytes=50_000)

    manifest = shop.manifest(export)
    assert len(export.objects) > 1
    assert [entry["key"] for entry in manifest["objects"]] == [entry.key for entry in export.objects]
    assert sum(entry["rows"] for entry in manifest["objects"]) == manifest["rows"] == 60_000


@pytest.mark.parametrize("partitions", ["", " PARTITION BY RANGE (n)"])
def test_ranges_read_each_row_once_and_a_change_meanwhile_is_not_seen(shop: Shop, monkeypatch: pytest.MonkeyPatch, partitions: str) -> None:
    shop.run(f"DROP TABLE IF EXISTS dm_core.wide; CREATE TABLE dm_core.wide (n int PRIMARY KEY, t text){partitions}")
    if partitions:
        shop.run("CREATE TABLE dm_core.low PARTITION OF dm_core.wide FOR VALUES FROM (0) TO (400)")
        shop.run("CREATE TABLE dm_core.high PARTITION OF dm_core.wide FOR VALUES FROM (400) TO (9000)")
    shop.run("INSERT INTO dm_core.wide SELECT n, repeat('\"\n', 250) FROM generate_series(1, 999) n")
    monkeypatch.setattr(statements, "RANGE_BLOCKS", 7)
    ranges: list[int] = []

    def read_apart(connections: Any, of_ranges: Any, *rest: Any) -> None:
        ranges.append(len(of_ranges))
        shop.run("UPDATE dm_core.wide SET t = 'changed' WHERE n % 3 = 0; DELETE FROM dm_core.wide WHERE n % 3 = 1")
        parallel_copy.copy_all(connections, of_ranges, *rest)

    monkeypatch.setattr(table_export, "copy_all", read_apart)
    contract = parse_contract(contract_yaml(shop.dsn, "dm_core.wide"), "wide.yaml")

    export = export_table(shop.dsn, shop.bucket, contract, registering(shop, "wide"), object_bytes=1)

    assert ranges[0] > 5
    rows = shop.rows(export)
    assert sorted(int(row["n"]) for row in rows) == list(range(1, 1000))
    assert {row["t"] for row in rows} == {'"\n' * 250}
    assert sum(written.rows for written in export.objects) == export.rows == 999


def test_rows_are_estimated_before_the_source_has_counted_them(shop: Shop) -> None:
    add_reviews(shop, 1, 20_000)

    assert 2_000 < table_export.estimated_rows(shop.dsn, REVIEW) < 200_000


def test_a_reader_that_dies_ends_the_export_without_a_manifest(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    add_reviews(shop, 1, 20_000)
    monkeypatch.setattr(statements, "RANGE_BLOCKS", 1)
    before = shop.manifests("review")
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%ctid%' LIMIT 1"
    monkeypatch.setattr(parallel_copy.Pace, "range_done", lambda _: shop.run(kill))

    with pytest.raises(ExportFailed, match=r"dm_core\.review: .*terminat"):
        export_table(shop.dsn, shop.bucket, REVIEW, registering(shop, "review"), whole=True, object_bytes=1)

    assert shop.manifests("review") == before


@pytest.mark.parametrize(
    "statement",
    ["ALTER TABLE dm_core.whole ALTER n TYPE bigint", "DROP TABLE dm_core.whole; CREATE TABLE dm_core.whole AS SELECT 2 AS n"],
)
def test_a_table_that_is_rewritten_behind_the_snapshot_is_not_taken_for_empty(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    shop.run("DROP TABLE IF EXISTS dm_core.whole; CREATE TABLE dm_core.whole (n int PRIMARY KEY); INSERT INTO dm_core.whole VALUES (1)")
    contract = parse_contract(contract_yaml(shop.dsn, "dm_core.whole"), "whole.yaml")
    monkeypatch.setattr(table_export, "highest_watermark", lambda *_: shop.run(statement))

    with pytest.raises(statements.Rewritten, match=r"dm_core\.whole was rewritten while its snapshot was taken"):
        export_table(shop.dsn, shop.bucket, contract, shop.control)


def test_the_position_lies_below_every_change_that_the_snapshot_cannot_see(shop: Shop) -> None:
    add_reviews(shop, 1, 10)

    export = export_table(shop.dsn, shop.bucket, REVIEW, registering(shop, "review"), whole=True)
    ((before,),) = shop.run("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")
    add_reviews(shop, 11, 11)

    (position,) = {row["cdc_position"] for row in shop.rows(export)}
    assert ZERO_POSITION < position <= str(Position(int(before), 0))


def test_no_slot_is_left_behind(shop: Shop) -> None:
    export_table(shop.dsn, shop.bucket, REVIEW, registering(shop, "review"), whole=True)

    assert shop.run("SELECT slot_name FROM pg_replication_slots") == []


def test_a_delta_reads_from_the_watermark_minus_the_lateness(shop: Shop) -> None:
    control = registering(shop, "review")
    add_reviews(shop, 1, 3, time="1700000000")
    export_table(shop.dsn, shop.bucket, REVIEW, control, whole=True)
    add_reviews(shop, 4, 4, time=str(1700000000 - REVIEW.export_lateness))
    add_reviews(shop, 5, 5, time=str(1700000000 - REVIEW.export_lateness - 1))

    delta = export_table(shop.dsn, shop.bucket, REVIEW, control)

    assert delta.since == "1700000000"
    assert sorted(int(row["review_id"]) for row in shop.rows(delta)) == [1, 2, 3, 4]


def test_the_watermark_stays_where_an_object_was_not_registered(shop: Shop) -> None:
    add_reviews(shop, 1, 3, time="1900000000")
    before = shop.control.watermarks.get("review")

    with pytest.raises(NotRegistered, match="1 of 1 objects"):
        export_table(shop.dsn, shop.bucket, REVIEW, shop.control, whole=True, register_seconds=0)

    assert shop.control.watermarks.get("review") == before


def test_an_export_of_a_table_without_changes_is_a_generation(shop: Shop) -> None:
    shop.run("INSERT INTO dm_core.brewery VALUES (1, 'a')")

    export = export_table(shop.dsn, shop.bucket, NO_CHANGES, registering(shop, "brewery"))

    (fence,) = shop.control.fences.of("brewery")
    (row,) = shop.rows(export)
    assert row["cdc_position"] == ZERO_POSITION
    assert row["cdc_built_at"] == f"{fence.at:%Y-%m-%dT%H:%M:%S.%f}Z"


def test_the_fence_of_an_export_waits_for_its_last_object(shop: Shop) -> None:
    shop.run("INSERT INTO dm_core.brewery VALUES (1, 'a')")
    before = shop.control.fences.of("brewery")

    with pytest.raises(NotRegistered):
        export_table(shop.dsn, shop.bucket, NO_CHANGES, shop.control, register_seconds=0)

    assert shop.control.fences.of("brewery") == before


@pytest.fixture
def captured(shop: Shop) -> Iterator[str]:
    """A slot with a reader."""
    connection = psycopg2.connect(shop.dsn, connection_factory=psycopg2.extras.LogicalReplicationConnection)
    shop.run("CREATE PUBLICATION everything FOR ALL TABLES")
    with closing(connection), connection.cursor() as cursor:
        cursor.create_replication_slot("captures", output_plugin="pgoutput")
        cursor.start_replication("captures", options={"proto_version": "1", "publication_names": "everything"})
        yield "captures"
    shop.run("DROP PUBLICATION everything; SELECT pg_drop_replication_slot('captures')")


def test_a_load_begins_a_generation_that_its_rows_alone_belong_to(shop: Shop, captured: str) -> None:
    control = registering(shop, "brewery")
    shop.run("INSERT INTO dm_core.brewery VALUES (1, 'a'), (2, 'b')")
    before = datetime.now(UTC)

    first, second = (export_table(shop.dsn, shop.bucket, BREWERY, control, load_beside=captured) for _ in range(2))

    *_, older, newest = control.fences.of("brewery")
    assert older < newest <= Fence(max(before - load.CLOCK_SLACK + timedelta(seconds=30), older.at + load.TICK))
    assert {row["cdc_built_at"] for row in shop.rows(first)} == {timestamp(older.at)}
    assert {row["cdc_built_at"] for row in shop.rows(second)} == {timestamp(newest.at)} == {second.cdc_built_at}
    assert {row["cdc_position"] for row in shop.rows(second)} == {second.cdc_position} != {ZERO_POSITION}
    assert control.loads.exported("silver/brewery") == ExportedLoad(newest.generation, second.export_id, 2)


def test_a_load_that_dies_stays_open_and_the_next_one_replaces_it(shop: Shop, captured: str, monkeypatch: pytest.MonkeyPatch) -> None:
    control = registering(shop, "brewery")
    monkeypatch.setattr(table_export, "copy_all", MagicMock(side_effect=MemoryError))
    with pytest.raises(MemoryError):
        export_table(shop.dsn, shop.bucket, BREWERY, control, load_beside=captured)
    monkeypatch.undo()
    died = control.loads.exported("silver/brewery")
    assert died is not None
    assert died.rows is None

    export = export_table(shop.dsn, shop.bucket, BREWERY, control, load_beside=captured)

    control.loads.export_ends("silver/brewery", died.export_id, 7)
    assert control.loads.exported("silver/brewery") == ExportedLoad(max(control.fences.of("brewery")).generation, export.export_id, 0)


@pytest.mark.parametrize(("made", "words"), [(False, "is not there"), (True, "has no reader")])
def test_a_load_without_captured_changes_is_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch, made: bool, words: str) -> None:
    monkeypatch.setattr(load, "CAPTURE_SECONDS", 0)
    fences = shop.control.fences.of("brewery")
    if made:
        shop.run("SELECT pg_create_logical_replication_slot('idle', 'pgoutput')")

    with pytest.raises(load.NotCaptured, match=f'slot "idle" {words}'):
        export_table(shop.dsn, shop.bucket, BREWERY, shop.control, load_beside="idle")

    assert shop.control.fences.of("brewery") == fences
    if made:
        shop.run("SELECT pg_drop_replication_slot('idle')")


def test_quotes_newlines_and_empty_text_survive_the_export(shop: Shop) -> None:
    shop.run("INSERT INTO dm_core.brewery VALUES (1, E'a \"b\",\\nc'), (2, ''), (3, 'São João')")

    export = export_table(shop.dsn, shop.bucket, BREWERY, registering(shop, "brewery"), whole=True)

    assert [row["brewery_name"] for row in shop.rows(export)] == ['a "b",\nc', "", "São João"]


def test_an_empty_table_gives_one_object_with_the_header(shop: Shop) -> None:
    export = export_table(shop.dsn, shop.bucket, BREWERY, registering(shop, "brewery"), whole=True)

    assert [written.rows for written in export.objects] == [0]


def test_an_unreachable_source_is_named_and_closes_nothing(shop: Shop) -> None:
    with pytest.raises(ExportFailed, match=r"dm_core\.review"):
        export_table("host=127.0.0.1 port=1 dbname=postgres", shop.bucket, REVIEW, shop.control)
    with pytest.raises(ExportFailed, match=r"dm_core\.review"):
        table_export.estimated_rows("host=127.0.0.1 port=1 dbname=postgres", REVIEW)


def test_the_command_names_a_table_that_no_contract_describes(shop: Shop, lake_stacks: Outputs, capsys: pytest.CaptureFixture[str]) -> None:
    contracts = f"s3://{lake_stacks['storage']['ArtifactsBucket']}/contracts/"
    publish(beer.CONTRACTS, contracts)
    places = ["--dsn", shop.dsn, "--bucket", shop.bucket, "--control-table", shop.control.name, "--contracts", contracts]

    assert main(["--table", "nothing", *places]) == 1
    assert 'table "nothing" has no contract' in capsys.readouterr().err
