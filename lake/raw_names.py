"""The format of a raw file by its name, in upper or lower case. A name without a known ending means JSON lines."""

from __future__ import annotations

from lake.control.records import CSV, JSON_LINES
from lake.errors import TerminalError

_GZIP, _CSV_ENDINGS = ".gz", (".csv.gz", ".csv")
_FORMS = {
    ".gz": "gzip within gzip",
    ".tsv": "values separated by tabs",
    ".psv": "values separated by bars",
    ".tar": "a tar archive",
    ".tgz": "a tar archive",
    ".zip": "a ZIP archive",
    ".xlsx": "a spreadsheet",
    ".xls": "a spreadsheet",
    ".xml": "XML",
    ".parquet": "Parquet",
    ".avro": "Avro",
    ".orc": "ORC",
    ".sql": "SQL statements",
    ".bz2": "bzip2",
    ".xz": "xz",
    ".zst": "Zstandard",
}


class UnknownForm(TerminalError):
    """The file's name stands for a format that is neither CSV nor JSON lines."""

    def __init__(self, name: str, form: str) -> None:
        super().__init__(f"{name}: the name says {form}; expected is .csv.gz for CSV, or another .gz for JSON lines, compressed once")


def format_of(name: str) -> str:
    """``csv`` or ``json``."""
    return CSV if name.lower().endswith(_CSV_ENDINGS) else JSON_LINES


def check_name(name: str) -> None:
    """Check the format that the name stands for. Raises ``UnknownForm`` if it is not read."""
    plain = name.lower().removesuffix(_GZIP)
    form = next((form for ending, form in _FORMS.items() if plain.endswith(ending)), None)
    if form is not None:
        raise UnknownForm(name.rpartition("/")[2], form)
