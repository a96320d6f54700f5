"""What a DMS message becomes on the raw line: operation, position, unchanged columns, key changes, fences."""

from __future__ import annotations

import orjson
import pytest

from lake.cdc import CDC_FIELDS, ZERO_POSITION

BEER = {"beer_id": 7, "beer_name": "Saison", "beer_abv": 6.5, "story": "Barn."}
POSITION = "000000027c007178-0000000003-0"

RENAMED = """
apiVersion: v3.0.2
kind: DataContract
id: ale
version: 1.0.0
status: active
schema:
  - name: ale
    physicalName: dm_core.ale
    properties:
      - {name: ale_id, physicalName: Ale Id, physicalType: bigint, primaryKey: true}
      - {name: ale_name, physicalName: label, physicalType: varchar(20), customProperties: [{property: renamedFrom, value: title}]}
"""


@pytest.mark.parametrize(
    ("spelling", "operation"), [("load", "load"), ("read", "load"), ("insert", "insert"), ("create", "insert"), ("update", "update")]
)
def test_both_vocabularies_name_the_same_operations(route, dms, spelling, operation):
    line = route.line(dms.message(spelling, BEER))

    assert line["operation"] == operation
    assert {name: line[name] for name in BEER} == BEER


def test_a_line_holds_the_columns_in_contract_order_and_then_the_change(route, dms):
    line = route.line(dms.message("insert", dict(reversed(BEER.items()))))

    assert tuple(line) == (*BEER, *CDC_FIELDS)
    assert line["cdc_position"] == POSITION
    assert (line["cdc_built_at"], line["cdc_committed_at"]) == (dms.built_at, dms.committed_at)
    assert line["cdc_transaction_id"] == 87978110091475
    assert line["cdc_unchanged"] is None
    assert line["cdc_fence"] is None


def test_a_load_is_lowest_and_has_no_transaction(route, dms):
    line = route.line(dms.message("load", BEER))

    assert line["cdc_position"] == ZERO_POSITION
    assert line["cdc_committed_at"] is None
    assert line["cdc_transaction_id"] is None


def test_a_multi_line_message_makes_one_line(route, dms):
    raw = orjson.dumps(orjson.loads(dms.message("insert", BEER | {"story": "two\nlines"})), option=orjson.OPT_INDENT_2)

    assert route.line(raw)["story"] == "two\nlines"


def test_a_delete_carries_its_key_and_nothing_else(route, dms):
    line = route.line(dms.message("delete", {"beer_id": "7", "beer_name": "of a full identity", "beer_abv": None}))

    assert line["operation"] == "delete"
    assert {name: line[name] for name in BEER} == {"beer_id": 7, "beer_name": None, "beer_abv": None, "story": None}


def test_a_delete_without_its_key_is_refused(route, dms):
    assert route.reason(dms.message("delete", {"beer_id": None})) == 'key column "beer_id": null or absent'


def test_an_update_lists_absent_columns_that_may_be_unchanged(route, dms):
    line = route.line(dms.message("update", {"beer_id": 7, "beer_name": "Saison"}, before={}))

    assert line["cdc_unchanged"] == ["story"]
    assert line["story"] is None
    assert line["beer_abv"] is None


def test_an_insert_or_load_has_no_unchanged_columns(route, dms):
    for operation in ("insert", "load"):
        assert route.line(dms.message(operation, {"beer_id": 7, "beer_name": "Saison"}))["cdc_unchanged"] is None


@pytest.mark.parametrize("operation", ["load", "insert", "update"])
def test_a_column_whose_value_could_not_travel_is_marked_and_never_taken_as_unchanged(route, dms, operation):
    line = route.line(left_out(dms.message(operation, {"beer_id": 7, "beer_name": "Saison"}), "story"))

    assert (line["operation"], line["story"], line["cdc_unchanged"]) == (operation, None, ["?story"])


def test_a_row_is_refused_if_a_value_that_could_not_travel_has_no_place_of_its_own(route, dms):
    reason = route.reason(left_out(dms.message("update", {"beer_id": 7, "beer_name": "Saison"}), "beer_abv"))

    assert 'column "beer_abv": its value could not travel' in reason


def left_out(message: bytes, *columns: str) -> bytes:
    parsed = orjson.loads(message)
    parsed["metadata"]["left-out-columns"] = columns
    return orjson.dumps(parsed)


@pytest.mark.parametrize("operation", ["load", "insert", "update"])
@pytest.mark.parametrize("data", [{"beer_id": 7}, {"beer_id": 7, "beer_name": None}])
def test_a_required_column_without_a_value_is_refused(route, dms, operation, data):
    assert 'column "beer_name"' in route.reason(dms.message(operation, data))


def test_a_changed_key_makes_a_delete_of_the_old_and_an_upsert_of_the_new(route, dms):
    gone, new = route.lines(dms.message("update", BEER, before={"beer_id": "6"}))

    assert (gone["operation"], gone["beer_id"], gone["cdc_position"]) == ("delete", 6, POSITION)
    assert gone["beer_name"] is None
    assert (new["operation"], new["beer_id"], new["cdc_position"]) == ("update", 7, POSITION[:-1] + "1")
    assert new["beer_name"] == "Saison"


@pytest.mark.parametrize("before", [None, {}, {"beer_id": 7}, {"beer_id": "7"}, {"beer_id": None}, {"beer_name": "Tripel"}])
def test_a_before_image_that_does_not_differ_in_the_key_changes_nothing(route, dms, before):
    line = route.line(dms.message("update", BEER, before=before))

    assert (line["operation"], line["cdc_position"]) == ("update", POSITION)


def test_a_before_image_in_columns_of_its_own_splits_too_and_leaves_no_trace(route, dms):
    gone, new = route.lines(dms.message("update", BEER | {"BI_beer_id": 6, "BI_beer_name": "Tripel"}))

    assert (gone["beer_id"], new["beer_id"]) == (6, 7)
    assert tuple(new) == (*BEER, *CDC_FIELDS)


def test_the_old_key_of_a_composite_key_takes_what_did_not_change_from_the_new(route, dms):
    order = {"region": "eu", "number": 8, "placed_at": "2024-01-01T00:00:00Z"}

    gone, new = route.lines(dms.message("update", order, before={"number": 7}, table="sales.orders"))

    assert (gone["region"], gone["number"]) == ("eu", 7)
    assert (new["region"], new["number"]) == ("eu", 8)


@pytest.mark.parametrize("name", ["drop-table", "DropTable", "create-table"])
def test_a_table_dropped_or_created_becomes_a_fence(route, dms, name):
    line = route.line(dms.control(name))

    assert line["operation"] == "fence"
    assert line["cdc_fence"] in ("drop-table", "create-table")
    assert (line["cdc_position"], line["cdc_built_at"]) == (ZERO_POSITION, dms.built_at)
    assert [line[name] for name in BEER] == [None] * 4


@pytest.mark.parametrize(
    ("name", "table"), [("add-column", "dm_core.beer"), ("drop-table", "public.foo"), ("create-table", ".awsdms_apply_exceptions")]
)
def test_other_control_records_make_no_line(route, dms, name, table):
    routed = route.router.route(dms.control(name, table))

    assert (routed.kind, routed.lines) == ("control", b"")


def test_digits_of_a_decimal_survive(route, dms):
    order = b'{"region":"eu","number":8,"placed_at":"2024-01-01T00:00:00Z","price":1234567890.10}'
    raw = dms.message("insert", {}, table="sales.orders").replace(b'"data":{}', b'"data":' + order)

    assert route.line(raw)["price"] == "1234567890.10"


def test_unknown_columns_pass_as_they_came_to_the_last_digit(route, dms):
    unknown = b'"new":{"a":[12.50,123456789012345678901234567890,"x",null,true]},"exact":0.1000000000000000055511151231257827'
    raw = dms.message("insert", BEER).replace(b'"data":{', b'"data":{' + unknown + b",")

    line = route.router.route(raw).lines

    assert b'"new":{"a":[12.50,123456789012345678901234567890,"x",null,true]}' in line
    assert b'"exact":0.1000000000000000055511151231257827' in line


def test_an_unknown_column_named_like_the_lakes_own_is_refused(route, dms):
    assert 'column "operation"' in route.reason(dms.message("insert", BEER | {"operation": "x"}))


def test_a_column_called_differently_at_the_source_is_read_by_that_name(routed_by, dms):
    route = routed_by(RENAMED)

    gone, new = route.lines(dms.message("update", {"Ale Id": 7, "label": "Saison", "more": 1}, before={"Ale Id": 6}, table="dm_core.ale"))

    assert (gone["ale_id"], new["ale_id"], new["ale_name"], new["more"]) == (6, 7, "Saison", 1)
    assert "Ale Id" not in new


def test_a_column_renamed_at_the_source_is_read_by_its_former_name_too(routed_by, dms):
    route = routed_by(RENAMED)

    line = route.line(dms.message("insert", {"Ale Id": 7, "title": "Saison"}, table="dm_core.ale"))

    assert line["ale_name"] == "Saison"
    assert "title" not in line


def test_an_unknown_column_never_overwrites_a_known_one(routed_by, dms):
    reason = routed_by(RENAMED).reason(dms.message("insert", {"Ale Id": 7, "label": "Saison", "ale_name": "x"}, table="dm_core.ale"))

    assert 'column "ale_name"' in reason


def test_a_row_mapped_to_a_document_is_unwrapped(route, dms):
    assert route.line(dms.message("insert", {"beer_id": 7, "_doc": BEER}))["beer_name"] == "Saison"


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        ({"stream_position": None}, "IncludeTransactionDetails"),
        ({"stream_position": "4711"}, "stream-position"),
        ({"stream_position": "0/1.12345678901.0/1"}, "stream-position"),
        ({"commit_timestamp": None}, "commit-timestamp"),
        ({"transaction_id": "x"}, "transaction-id"),
        ({"timestamp": None}, "timestamp"),
        ({"record_type": "heartbeat"}, "record-type"),
        ({"operation": "upsert"}, 'operation "upsert"; one of load, read'),
        ({"table": "dm_core.ale"}, 'table "dm_core.ale" has no contract; known: beer, order'),
        ({"table": "public.beer"}, 'table "beer" of schema "public"; the contract is of schema "dm_core"'),
    ],
)
def test_metadata_that_is_not_understood_is_refused_with_its_reason(route, dms, about, reason):
    assert reason in route.reason(dms.message(about.pop("operation", "insert"), BEER, **about))


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"{}", b'{"metadata":{}}', b"\xff", b'{"metadata":{"record-type":"data"},"data":[]}', b"NaN"]
)
def test_what_is_no_dms_message_is_refused(route, raw):
    assert route.reason(raw)


def test_a_fence_of_a_contracted_name_in_another_schema_is_refused(route, dms):
    assert "schema" in route.reason(dms.control("drop-table", "public.beer"))


def test_a_refused_value_is_not_shown(route, dms):
    assert "ann@example.org" not in route.reason(dms.message("insert", BEER | {"beer_abv": "ann@example.org"}))


def test_columns_are_found_by_their_name_in_the_source_and_written_by_the_lakes(renamed_route, dms):
    gone, came = renamed_route.lines(dms.message("update", {"Beer ID": 8, "beer_name": "Saison"}, before={"Beer ID": 7}))

    assert (gone["operation"], gone["beer_id"]) == ("delete", 7)
    assert (came["operation"], came["beer_id"]) == ("update", 8)
    assert "Beer ID" not in came
