"""One sentence per rejected record: its problem, and a valid form. It never repeats a value."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from convert.parse.csv_fields import cells, field_fault
from convert.parse.json_members import UTF8_BOM, line_fault
from convert.parse.outcome import Reason
from convert.parse.schema import MAX_DEPTH, RowSchema
from lake.cdc import OPERATION, OPERATIONS

_FIXED: Mapping[str, str] = {
    Reason.NUL: "holds a NUL character, which no text may hold",
    Reason.REPEATED_HEADER: "the file's header once more, as in files put together; leave out each header but the first",
    Reason.DUPLICATE_MEMBER: "the member stands twice",
    Reason.UNKNOWN_COLUMN: "the contract does not know the column",
    Reason.NAN: "the contract does not allow NaN and infinity here",
    Reason.REQUIRED: "null or missing, but the contract requires a value",
}
_MARK = "a byte order mark amid the file, as in files put together"
_ONE_OBJECT = "each line must hold one whole object"
_MEMBER = re.compile(rb'"operation"\s*:')


class Details:
    """The sentences for one file's rejects. ``header`` names the columns of a CSV file and is None for JSON lines."""

    def __init__(self, schema: RowSchema, header: tuple[str, ...] | None) -> None:
        self._schema = schema
        self._header = header
        self._of_record: Mapping[str, Callable[[bytes], str]] = {
            Reason.UTF8: _not_utf8,
            Reason.NOT_JSON: _not_json,
            Reason.NOT_OBJECT: _not_an_object,
            Reason.OPEN_QUOTE: _open_quote,
            Reason.NOT_CSV: _not_csv,
            Reason.RAGGED: self._ragged,
            Reason.OPERATION: self._without_operation,
        }

    def of(self, reason: str, column: str, record: bytes) -> str:
        """The sentence on one record."""
        if reason in (Reason.TYPE, Reason.RANGE) and column in self._schema.index:
            field = self._schema.fields[self._schema.index[column]]
            mark = f"{_MARK}; " if record.startswith(UTF8_BOM) else ""
            beyond = "out of range; " if reason == Reason.RANGE else ""
            return f"{mark}{field.title}: {beyond}expected {field.rule(self._header is not None)}"
        if (describe := self._of_record.get(reason)) is not None:
            return describe(record)
        return _FIXED[reason]

    def _ragged(self, record: bytes) -> str:
        found, expected = len(cells(record)), len(self._header or ())
        difference = f"{abs(found - expected)} too {'many' if found > expected else 'few'}"
        if found == expected + 1 and record.endswith(b","):
            hint = "leave out the comma at the end of the line"
        elif found > expected:
            hint = "a text that holds commas needs quotes around it"
        else:
            hint = "a value that is missing still needs its comma"
        return f"{found} fields, and the header has {expected}: {difference}; {hint}"

    def _without_operation(self, record: bytes) -> str:
        valid = f"one of {', '.join(OPERATIONS)}"
        if self._header is not None:
            return f'the column "{OPERATION}" must hold {valid}; without that column every record is a load'
        if _MEMBER.search(record):
            return f'"{OPERATION}" must be {valid}'
        return f'"{OPERATION}" is missing: a line of changes says {valid}; rows of a table alone belong into a CSV file, *.csv.gz'


def _not_utf8(record: bytes) -> str:
    try:
        record.decode()
    except UnicodeDecodeError as error:
        place = f" at byte {error.start + 1} of the record"
    else:
        place = ""
    return f"not valid UTF-8{place}; files of another encoding can be converted, e.g. by iconv -f WINDOWS-1252 -t UTF-8"


def _not_json(record: bytes) -> str:
    line = record.strip(b" \t\r")
    if line.startswith(UTF8_BOM):
        return f"{_MARK}; {_ONE_OBJECT}"
    if line[:1] in (b"[", b"]") or line.endswith(b"},"):
        return f"part of a JSON array; {_ONE_OBJECT}, without brackets around the lines and commas behind them"
    fault = line_fault(line)
    if fault.is_too_deep:
        return f"nested deeper than {MAX_DEPTH} levels"
    if fault.is_half_a_character:
        return "an escape that is half of a character, as \\ud83d alone"
    if fault.starts_another:
        return f"several objects in one line; {_ONE_OBJECT}"
    if not line.startswith(b"{") or fault.at >= len(line):
        return f"part of an object that goes over several lines, or no JSON at all; {_ONE_OBJECT}"
    return f"no JSON from character {fault.at + 1} on (RFC 8259); {_ONE_OBJECT}"


def _not_an_object(record: bytes) -> str:
    kind = "a JSON array" if record.lstrip(b" \t\r").startswith(b"[") else "a JSON value, but no object"
    return f"{kind}; {_ONE_OBJECT}, without brackets around the lines and commas behind them"


def _open_quote(record: bytes) -> str:
    return "a quote opens a field and nothing closes it, so no record can be read from here on"


def _not_csv(record: bytes) -> str:
    number, fault = field_fault(record)
    return f"field {number}: {fault}"
