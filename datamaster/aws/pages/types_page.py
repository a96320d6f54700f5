"""docs/types.md, generated from the table of types: ``python -m datamaster.aws.pages.types_page > docs/types.md``."""

from __future__ import annotations

from lake.cdc import CDC_TYPES, OPERATIONS
from lake.types import DIGITS, RULES, TypeRule

_HEAD = """\
# Types

One table of rules (`lake/types.py`) drives the router, both parsers of the converter, contracts, masks, the jobs, the tables
of Iceberg and Athena, and this page. A test adds a type to it, and finds the type in all of them.
A contract names a column's type as PostgreSQL spells it; `[]` behind any of them is an array, carried as text.

## Values

| PostgreSQL | Iceberg | in a JSON line | in a CSV field |
|---|---|---|---|
"""

_NULLS = """
## Types of PostgreSQL that have no line above

A contract that is written from the catalog names for each column the type that carries all its values:

| PostgreSQL | in the contract |
|---|---|
| oid | bigint |
| numeric without precision | text, every digit; `numeric(p, s)` or `double precision` where you prefer a number |
| numeric(5,-2), numeric(3,5) | numeric(7,0), numeric(5,5): enough digits for each value |
| numeric of more than 38 digits | text |
| a domain | as the type below it |
| citext, xml, time, money, inet, ranges, composite types and every other | text, as PostgreSQL writes it |
| varchar(n), char(n) where long rows are stored out of line | the same, with `unchanged: true`: an update may leave them out |

A test takes edge values of every type in `pg_type`, with arrays and domains over it, by a load, by a change and by an export,
and finds them equal to PostgreSQL's own text.

## NULL and empty text

| | JSON line | CSV field |
|---|---|---|
| NULL | `null`, or the member is missing | nothing between the commas |
| empty text | `""` | `""` |

A quoted empty field is no value of any type but text and `bytea`. Quotes around another value change nothing.
`\\N` and `NULL` are texts like any other: a text column keeps them, any other column rejects them. Write NULL as
`COPY … WITH (FORMAT csv)` does; a dump in COPY's text format or by MySQL has `\\N` instead.

## Exactly

- Integers come from integer tokens: `3.0`, `1e2` and `"3"` are rejected in JSON, a point or exponent in CSV; `-0` is 0.
- Numbers of `double` and `real` are rounded to the nearest value, `real` by way of `double`; beyond the largest one they are rejected.
- A `numeric(p,s)` is never rounded: a value that does not fit p and s exactly is rejected. Zeros behind the last place do no harm.
- A timestamp has at most 6 decimals, or zeros behind them; hours 00 to 23, seconds 00 to 59, years 0001 to 9999 in UTC.
- Infinity, years before 1 and years above 9999 are no date of the lake: the row is refused with its reason, by change (under `errors/`)
  and by export (in the quarantine) alike, and never becomes another date. To keep such values, make the column `text` in the contract.
- Text that holds U+0000 is rejected, as PostgreSQL would. Half of a surrogate pair, as `\\ud800`, is no JSON here.
- A UUID is stored in lower case.

## Fields of the change record

| field | type |
|---|---|
"""

_TAIL = f"""
`operation` is one of {", ".join(OPERATIONS)}; in a CSV file without that column every record is a load.
`cdc_position`, where it is not null, has 16 lower-case hexadecimal digits, a hyphen, 10 digits, a hyphen and 1 digit.
`cdc_unchanged` is an array of strings; in CSV the same array as text.
A load, an insert and an update must carry the contract's required columns, an update not those it lists in `cdc_unchanged`,
none those listed there with a question mark (`?column`: the value could not travel);
a delete must carry its key, a fence nothing.

## Columns that the contract does not know

| evolution | the row | the value |
|---|---|---|
| evolve | accepted | kept in `_extra`: in JSON as it was written, in CSV as text |
| discard_value | accepted | dropped, and counted |
| discard_row, freeze | rejected: `unknown_column` | |

## Why a record is no row

The first problem that applies, in this order; within the values, from left to right. The quarantine's `detail` says what
would be valid, e.g. how many fields a record has too many, and never repeats a value.

| reason | JSON | CSV |
|---|---|---|
| `open_quote` | | a quote that nothing closes; the file fails, since it would take all lines behind it |
| `repeated_header` | | the header once more, as in files put together |
| `utf8` | bytes that are no UTF-8 | the same |
| `nul` | a NUL character in a text | a NUL byte anywhere |
| `not_json` | no single JSON value (RFC 8259), or more than 64 levels of nesting | |
| `not_object` | a JSON value that is no object | |
| `not_csv` | | a quote inside an unquoted field, text behind a closing quote, a lone carriage return |
| `ragged` | | more or fewer fields than the header |
| `duplicate_member` | a name stands twice, in whatever spelling | |
| `unknown_column` | the contract is closed and does not know the column | the same |
| `type` | a value that the table above does not allow | the same |
| `range` | a value of the right form that the type cannot hold | the same |
| `nan` | NaN or infinity where the contract does not allow them | the same |
| `operation` | no operation, or none of the list | the same |
| `required` | a column that the operation must carry is null | the same |

A record longer than 16 MiB, an open quote, a wrong header, another encoding or container (UTF-16, tar, gzip within gzip)
and a damaged gzip stream fail the whole file. So does a header that names a column of the contract in another case or with
blanks, or one with a name that holds a line break. docs/converter.md says how many rejects a file may have.
"""


def render() -> str:
    """The text of docs/types.md."""
    changes = "".join(f"| `{name}` | {spelling} |\n" for name, spelling in CDC_TYPES.items())
    return _HEAD + "".join(map(_row, RULES)) + _NULLS + changes + _TAIL


def _row(rule: TypeRule) -> str:
    names = ", ".join((f"{rule.name}(p,s)" if rule.brackets == DIGITS else rule.name, *rule.aliases))
    cells = (text.format(p="p", s="s") for text in (rule.form.iceberg, rule.json or rule.form.json, rule.form.csv))
    return f"| {names} | {' | '.join(cells)} |\n"


if __name__ == "__main__":
    print(render(), end="")
