"""``dm convert``: a local file, its contract, Parquet files and exact counts; the engine behind it is every entrance's."""

from __future__ import annotations

import gc
import gzip
import json
import random
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beer import CONTRACTS
from convert.local_file import convert
from lake.errors import TerminalError
from lake.raw_names import UnknownForm

BREWERY = CONTRACTS / "brewery.yaml"
PROFILE = CONTRACTS / "profile.yaml"


def line(number: Any, **values: Any) -> str:
    return json.dumps({"brewery_id": number, "brewery_name": f"brewery {number}", "operation": "load"} | values)


def json_file(folder: Path, lines: list[str]) -> Path:
    path = folder / "rows.gz"
    path.write_bytes(gzip.compress("".join(f"{text}\n" for text in lines).encode()))
    return path


def csv_file(folder: Path, text: str) -> Path:
    path = folder / "rows.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    return path


def rejects(summary: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(summary["quarantine"]).to_pylist() if summary["quarantine"] else []
    return found


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["good", "bad", "blank"]), max_size=60))
def test_every_record_is_written_or_rejected_with_its_line_number(tmp_path: Path, kinds: list[str]) -> None:
    texts = {"good": line(1), "bad": line("one"), "blank": ""}
    path = json_file(tmp_path, [line(0), *(texts[kind] for kind in kinds)])

    summary = convert(path, BREWERY, tmp_path / "out")

    assert summary["records_read"] == summary["records_written"] + summary["records_rejected"] == len(kinds) + 1 - kinds.count("blank")
    assert summary["records_rejected"] == kinds.count("bad")
    expected = [number for number, kind in enumerate(kinds, start=2) if kind == "bad"]
    assert [row["line_number"] for row in rejects(summary)] == (expected if expected else [])


def test_workers_change_no_byte_of_rows_or_quarantine(tmp_path: Path) -> None:
    lines = [line(n if n % 50 else "bad") for n in range(1, 60_000)]
    path = json_file(tmp_path, lines)

    one = convert(path, BREWERY, tmp_path / "one", workers=1)
    three = convert(path, BREWERY, tmp_path / "three", workers=3)

    assert one["records_rejected"] == 1199
    for name in ("part-00000.parquet", "quarantine.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "three" / name).read_bytes()
    assert three["records_read"] == 59_999


def test_line_numbers_and_offsets_count_through_every_block(tmp_path: Path) -> None:
    lines = [line(n) for n in range(40_000)]
    lines[39_990] = "no json"
    path = json_file(tmp_path, lines)

    (row,) = rejects(convert(path, BREWERY, tmp_path / "out"))

    assert row["line_number"] == 39_991
    assert gzip.decompress(path.read_bytes())[row["byte_offset"] :].startswith(b"no json\n")


@pytest.mark.parametrize(("bad", "outcome"), [(999, "published"), (1000, "failed")])
def test_a_file_of_changes_fails_from_a_thousand_rejects_on(tmp_path: Path, bad: int, outcome: str) -> None:
    path = json_file(tmp_path, [line(1)] * 100 + [line("one")] * bad)

    if outcome == "published":
        assert convert(path, BREWERY, tmp_path / "out")["records_rejected"] == bad
        return
    with pytest.raises(TerminalError, match=r"1,000 of 1,100 records rejected.*1,000 x type in column \"brewery_id\", first at line 101"):
        convert(path, BREWERY, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(("bad", "fails"), [(5, False), (6, True)])
def test_a_batch_file_fails_above_five_per_cent(tmp_path: Path, bad: int, fails: bool) -> None:
    rows = [f"{n},name" for n in range(100 - bad)] + ["x,name"] * bad
    path = csv_file(tmp_path, "brewery_id,brewery_name\n" + "\n".join(rows) + "\n")

    if fails:
        with pytest.raises(TerminalError, match="6 of 100 records rejected"):
            convert(path, BREWERY, tmp_path / "out")
    else:
        assert convert(path, BREWERY, tmp_path / "out")["records_written"] == 95


def test_a_frozen_contract_refuses_a_file_with_an_unknown_column(tmp_path: Path) -> None:
    contract = tmp_path / "brewery.yaml"
    contract.write_text(BREWERY.read_text() + "    customProperties:\n      - {property: evolution, value: freeze}\n")
    path = json_file(tmp_path, [line(1), line(2, city="Ghent")])

    with pytest.raises(TerminalError, match='column "city" is not in the contract'):
        convert(path, contract, tmp_path / "out")


def test_masked_columns_need_a_key_and_come_out_hashed(tmp_path: Path) -> None:
    record = {"profile_id": 1, "profile_name": "a", "email": "a@example.com", "state": "SP", "operation": "load"}
    path = json_file(tmp_path, [json.dumps(record)])
    key = tmp_path / "key"
    key.write_text("ab" * 32 + "\n")

    with pytest.raises(TerminalError, match="--mask-key-file"):
        convert(path, PROFILE, tmp_path / "out")
    summary = convert(path, PROFILE, tmp_path / "out", mask_key_file=key)

    assert summary["masked_columns"] == ["email"]
    (row,) = pq.read_table(summary["parts"][0]).to_pylist()
    assert len(row["email"]) == 64


def test_progress_is_told_in_rising_per_cents_up_to_the_whole_file(tmp_path: Path) -> None:
    chance = random.Random(7)
    path = json_file(tmp_path, [line(n, brewery_name=chance.randbytes(200).hex()) for n in range(60_000)])
    told: list[int] = []

    convert(path, BREWERY, tmp_path / "out", workers=1, progress=told.append)

    assert told == sorted(set(told))
    assert len(told) > 2
    assert told[-1] == 100


def test_the_file_id_stands_in_the_metadata_and_changes_it(tmp_path: Path) -> None:
    path = json_file(tmp_path, [line(1)])

    summary = convert(path, BREWERY, tmp_path / "out", file_id="cafe")

    metadata = pq.read_schema(summary["parts"][0]).metadata
    assert metadata[b"file_id"] == b"cafe"
    assert metadata[b"contract_version"].decode() == summary["contract_version"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "empty|gzip"),
        (b"plain text", "gzip"),
        (gzip.compress(b"{}\n" * 99)[:-9], "cut off"),
        (gzip.compress(b"{}\n") + b"a long tail", "follow the last one"),
        (gzip.compress(b"{}\n" + b"x" * (33 << 20)), r"the record at line 2 \(byte 3\) is longer than 16,777,216 bytes"),
    ],
    ids=["empty", "no gzip", "truncated", "trailing garbage", "a line without end"],
)
def test_a_damaged_file_is_a_clear_error_and_leaves_nothing(tmp_path: Path, body: bytes, message: str) -> None:
    path = tmp_path / "rows.gz"
    path.write_bytes(body)

    with pytest.raises(TerminalError, match=message):
        convert(path, BREWERY, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_failure_amid_rejects_is_one_error_and_nothing_is_said_behind_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unraised: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraised.append)
    path = tmp_path / "rows.gz"
    path.write_bytes(gzip.compress(b"no json\n" * 200_000) + b"a long tail")

    with pytest.raises(TerminalError, match="follow the last one"):
        convert(path, BREWERY, tmp_path / "out")
    gc.collect()

    assert unraised == []


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_byte_order_mark_and_either_line_ending_change_no_row(tmp_path: Path, ending: str) -> None:
    path = csv_file(tmp_path, "\ufeff" + ending.join(["brewery_id,brewery_name", '1,"a, b"', "", "2,c"]))

    summary = convert(path, BREWERY, tmp_path / "out")

    assert summary["records_rejected"] == 0
    rows = pq.read_table(summary["parts"][0]).to_pylist()
    assert [(row["brewery_id"], row["brewery_name"]) for row in rows] == [(1, "a, b"), (2, "c")]


def test_a_csv_with_a_wrong_header_names_what_is_missing(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "id,brewery_name\n1,a\n")

    with pytest.raises(TerminalError, match="lacks brewery_id"):
        convert(path, BREWERY, tmp_path / "out")


def test_a_name_that_does_not_end_with_gz_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("brewery_id,brewery_name\n")

    with pytest.raises(UnknownForm, match=r"rows\.csv"):
        convert(path, BREWERY, tmp_path / "out")
