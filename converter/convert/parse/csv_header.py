"""The header of a CSV file: reads it and checks it against the row's schema."""

from __future__ import annotations

from convert.parse.csv_fields import cells, field_fault, record_spans
from convert.parse.outcome import Problem, Reason
from convert.parse.schema import RowSchema
from lake.cdc import CDC_FIELDS
from lake.errors import TerminalError

NAME_CHARACTERS = 128
"""The maximum length of a column's name in characters, because `_extra` repeats it in every row."""

_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


class WrongHeader(TerminalError):
    """A CSV file's first record is not a header that matches the table's contract.

    The message shows names only of a record that names a column: a file without a header begins with values.
    """


def read_header(data: bytes) -> tuple[tuple[str, ...], int, int]:
    """The column names, and the number of bytes and lines before the first data record.

    Raises ``WrongHeader`` if there is no header, or if a name is empty, holds a line break or occurs twice.
    """
    lines = 0
    for span in record_spans(data):
        lines += data.count(b"\n", span.start, span.after)
        if span.is_open:
            raise WrongHeader("the header holds a quote that nothing closes; the first record must name the columns, separated by commas")
        if span.stop > span.start:
            return _names(data[span.start : span.stop]), span.after, lines
    raise WrongHeader("the file has no header: its first record must name the columns")


def check_header(header: tuple[str, ...], schema: RowSchema) -> None:
    """Raises ``WrongHeader`` if the header lacks a column that every row must carry, or misspells one by case or blanks."""
    known = {_plain(field.name): field.name for field in schema.fields}
    misspelt = [(name, known[_plain(name)]) for name in header if name not in schema.index and _plain(name) in known]
    nearly = [f'"{name}" instead of "{column}"' for name, column in misspelt if column not in header]
    if nearly:
        raise WrongHeader(f"table {schema.table}: the header names {', '.join(nearly)}; upper case, lower case and blanks count")
    missing = [schema.fields[place].name for place in schema.required if schema.fields[place].name not in header]
    if missing:
        columns = ", ".join(f.name for f in schema.fields if f.name not in CDC_FIELDS)
        if not schema.index.keys() & set(header):
            raise WrongHeader(f"the first record names no column of table {schema.table}; write a header before it: {columns}")
        raise WrongHeader(f"table {schema.table}: the header {_shown(header)} lacks {', '.join(missing)}; columns: {columns}")


def _plain(name: str) -> str:
    """The name without blanks and invisible characters, in one case."""
    return "".join(letter for letter in name if letter.isprintable() and not letter.isspace()).casefold()


def _names(record: bytes) -> tuple[str, ...]:
    try:
        found = cells(record)
    except Problem as problem:
        raise WrongHeader(f"the header is no CSV record: {_fault(problem, record)}") from None
    names = tuple(name or "" for name in found)
    separator = next((word for mark, word in _SEPARATORS.items() if len(names) == 1 and mark in names[0]), None)
    if separator:
        raise WrongHeader(f"the header is one field that holds {separator}; fields are separated by commas")
    if "" in names:
        raise WrongHeader(f"the header has no name for column {names.index('') + 1} of {len(names)}; write one between its commas")
    broken = next((number for number, name in enumerate(names, start=1) if "\n" in name or "\r" in name), None)
    if broken:
        raise WrongHeader(
            f"the name of column {broken} in the header runs on into the next line; "
            "a name stands on one line: remove the quote before it, or the line break within it"
        )
    longest = max(names, key=len)
    if len(longest) > NAME_CHARACTERS:
        place = f"column {names.index(longest) + 1}"
        raise WrongHeader(f"the name of {place} in the header has {len(longest):,} characters; at most {NAME_CHARACTERS}")
    first = {name: names.index(name) for name in names}
    again = next((number for number, name in enumerate(names) if first[name] != number), None)
    if again is not None:
        raise WrongHeader(f"columns {first[names[again]] + 1} and {again + 1} of the header have the same name; give each its own")
    return names


def _shown(names: tuple[str, ...]) -> str:
    text = ",".join(names)
    return f'"{text}"' if len(text) <= 200 else f'"{text[:200]}…"'


def _fault(problem: Problem, record: bytes) -> str:
    if problem.reason == Reason.NOT_CSV:
        number, fault = field_fault(record)
        return f"field {number}: {fault}"
    if problem.reason == Reason.UTF8:
        return "not valid UTF-8; convert the file, e.g. by iconv -f WINDOWS-1252 -t UTF-8"
    return "it holds a NUL character"
