"""``dm convert`` as a user meets it: an exit code that tells rejects from success, and what is wrong with them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from beer import CONTRACTS
from datamaster.cli import NO, WRONG_INPUT, run

CONTRACT = str(CONTRACTS / "brewery.yaml")
GOOD = "".join(f"{n},Brewery {n}\n" for n in range(40))


def converted(folder: Path, text: str, *options: str, name: str = "rows.csv.gz") -> int:
    (folder / name).write_bytes(gzip.compress(text.encode()))
    return run(["convert", str(folder / name), "--contract", CONTRACT, "--out", str(folder / "out"), *options])


def test_a_file_of_good_rows_is_done(tmp_path: Path) -> None:
    assert converted(tmp_path, "brewery_id,brewery_name\n" + GOOD) == 0


def test_rejects_are_a_no_with_their_reasons_and_the_rest_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert converted(tmp_path, "brewery_id,brewery_name\n" + GOOD + "1,Gent, Oost\n", "--json") == NO
    told = capsys.readouterr()

    assert json.loads(told.out)["records_written"] == 40
    assert "✗ rejected: 1 x ragged, first at line 42 (3 fields, and the header has 2: 1 too many; a text that holds commas" in told.err


@pytest.mark.parametrize("count", [1, 500])
def test_a_file_of_which_nothing_is_a_row_is_wrong_input_and_leaves_no_file(
    tmp_path: Path, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert converted(tmp_path, '{"brewery_id":1,"brewery_name":"x"}\n' * count, name="rows.gz") == WRONG_INPUT
    told = capsys.readouterr()

    assert '"operation" is missing' in told.err
    assert "✓" not in told.err
    assert list((tmp_path / "out").iterdir()) == []
