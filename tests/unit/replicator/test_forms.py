"""Value forms, COPY lines and table statistics: what needs no database to be checked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamaster.replicator.change_reader import alteration
from datamaster.replicator.full_load import ESCAPES, copy_values
from datamaster.replicator.statistics_endpoint import RequestFault, answer
from datamaster.replicator.task_state import TableStatistics
from datamaster.source import value_forms
from datamaster.source.value_forms import form_of

PAGE = Path(__file__).resolve().parents[3] / "docs" / "dms-messages.md"
ARN = "arn:aws:dms:us-east-1:000000000000:task:t"


@pytest.mark.parametrize(
    ("write", "text", "json"),
    [
        (value_forms.number, b"12.50", b"12.50"),
        (value_forms.number, b"1e+20", b"1e+20"),
        (value_forms.number, b"-Infinity", b'"-Infinity"'),
        (value_forms.truth, b"f", b'"false"'),
        (value_forms.moment, b"2024-01-02 03:04:05.06+00", b'"2024-01-02T03:04:05.060000"'),
        (value_forms.moment, b"0044-03-15 12:00:00 BC", b'"0044-03-15 12:00:00 BC"'),
        (value_forms.moment, b"-infinity", b'"-infinity"'),
        (value_forms.moment, b"10000-01-01 00:00:00+00", b'"10000-01-01T00:00:00.000000"'),
        (value_forms.hexadecimal, rb"\x00ff", b'"0x00FF"'),
    ],
)
def test_a_value_is_written_in_dms_s_form(write, text, json):
    assert orjson.dumps(write(text)) == json


@pytest.mark.parametrize(
    ("type_name", "category", "modifier", "form"),
    [
        ("numeric", "N", -1, "numeric"),
        ("numeric", "N", 786438, "numeric(p,s)"),
        ("numeric", "N", (39 << 16 | 2) + 4, "numeric(39 and more)"),
        ("numeric", "N", (38 << 16 | 2046) + 4, "numeric(39 and more)"),  # numeric(38,-2)
        ("numeric", "N", (3 << 16 | 39) + 4, "numeric(39 and more)"),
        ("_text", "A", -1, "array"),
        ("mood", "E", -1, "enum"),
        ("point", "G", -1, "any other"),
    ],
)
def test_a_column_s_form_follows_its_type(type_name, category, modifier, form):
    assert form_of(type_name, category, modifier).name == form


@pytest.mark.parametrize(
    ("modifier", "size"),
    [(-1, None), ((12 << 16 | 2) + 4, (12, 2)), ((5 << 16 | 2046) + 4, (7, 0)), ((3 << 16 | 5) + 4, (5, 5)), ((5 << 16) + 4, (5, 0))],
)
def test_a_numeric_s_typmod_says_how_many_digits_hold_all_its_values(modifier, size):
    assert value_forms.numeric_size(modifier) == size


def test_the_page_shows_the_table_that_the_replicator_uses():
    assert value_forms.markdown() in PAGE.read_text()


def test_every_form_says_how_sure_it_is():
    assert {form.evidence for form in value_forms.forms()} == {"observed", "documented", "assumed"}


@given(st.lists(st.none() | st.text(st.characters(exclude_characters="\0", codec="utf-8")), min_size=1, max_size=5))
def test_a_copy_line_gives_back_the_values_that_postgresql_wrote(row):
    written = {plain: b"\\" + letter for letter, plain in ESCAPES.items()} | {b"\\": b"\\\\"}

    def field(value):
        return rb"\N" if value is None else b"".join(written.get(bytes([byte]), bytes([byte])) for byte in value.encode())

    line = b"\t".join(field(value) for value in row) + b"\n"

    assert copy_values(line) == [None if value is None else value.encode() for value in row]


@pytest.mark.parametrize(
    ("old", "new", "operation"),
    [
        ([["a", 23]], [["a", 23], ["b", 25]], "add-column"),
        ([["a", 23], ["b", 25]], [["a", 23]], "drop-column"),
        ([["a", 23], ["b", 25]], [["a", 23], ["c", 25]], "rename-column"),
        ([["a", 23]], [["a", 20]], "column-type-change"),
        ([["a", 23], ["b", 25]], [["a", 23], ["c", 25], ["d", 25]], "change-columns"),
    ],
)
def test_an_altered_definition_is_announced_by_what_was_done(old, new, operation):
    assert alteration(old, new) == operation


def tables(count):
    return [TableStatistics("dm_core", f"t{number}", inserts=number) for number in range(count)]


def test_statistics_come_in_pages():
    first = answer("DescribeTableStatistics", {"ReplicationTaskArn": ARN, "MaxRecords": 2}, tables(3), list)
    second = answer("DescribeTableStatistics", {"ReplicationTaskArn": ARN, "MaxRecords": 2, "Marker": first["Marker"]}, tables(3), list)

    assert [row["TableName"] for row in first["TableStatistics"] + second["TableStatistics"]] == ["t0", "t1", "t2"]
    assert "Marker" not in second


def test_a_load_has_no_end_while_it_runs_once_more():
    (table,) = tables(1)
    table.load_begins()
    table.load_completes()
    first_end = table.load_ended
    table.load_begins()

    (row,) = answer("DescribeTableStatistics", {"ReplicationTaskArn": ARN}, [table], list)["TableStatistics"]

    assert row["TableState"] == "Table is being reloaded"
    assert "FullLoadEndTime" not in row
    assert row["FullLoadStartTime"] >= first_end.timestamp()
    assert datetime.now(UTC) - table.load_started < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("operation", "request_", "message"),
    [
        ("CreateReplicationTask", {}, 'operation "CreateReplicationTask"'),
        ("DescribeTableStatistics", {}, "ReplicationTaskArn is missing"),
        ("DescribeTableStatistics", {"ReplicationTaskArn": ARN, "Filters": [{"Name": "colour", "Values": []}]}, "one of schema-name"),
    ],
)
def test_a_request_that_dms_would_refuse_is_refused(operation, request_, message):
    with pytest.raises(RequestFault, match=message):
        answer(operation, request_, tables(1), list)
