"""A user's database is connected in one place, where each failure becomes a sentence without the password."""

from __future__ import annotations

from pathlib import Path

SOURCE = Path(__file__).resolve().parents[3] / "datamaster" / "source"


def test_no_other_module_of_the_source_connects_by_itself() -> None:
    assert [path.name for path in sorted(SOURCE.glob("*.py")) if "psycopg2.connect(" in path.read_text()] == ["connection.py"]
