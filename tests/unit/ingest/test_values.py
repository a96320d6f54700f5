"""Each of DMS's forms of a value becomes the one form of the raw line, or is refused without being shown."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import normalisers
from lake.contract import Column
from lake.types import ColumnType

FORMS = [
    ("bigint", 5, 5),
    ("bigint", "5", 5),
    ("bigint", normalisers.Digits("5.0"), 5),
    ("bigint", normalisers.Digits("-1.5E+3"), -1500),
    ("bigint", normalisers.Digits("9.007199254740992e+15"), 2**53),
    ("bigint", "-9223372036854775808", -(2**63)),
    ("smallint", 32767, 32767),
    ("double precision", 4.5, 4.5),
    ("double precision", "4.5", 4.5),
    ("double precision", 4, 4),
    ("double precision", "1e3", 1000.0),
    ("real", "0.25", 0.25),
    ("numeric(12,2)", "12.50", "12.50"),
    ("numeric(12,2)", "12.5", "12.50"),
    ("numeric(12,2)", 12, "12.00"),
    ("numeric(12,2)", "1.25E1", "12.50"),
    ("numeric(12,2)", "+0012.500", "12.50"),
    ("numeric(12,2)", "-.5", "-0.50"),
    ("numeric(12,2)", "-0.000", "0.00"),
    ("numeric(3,0)", "1e2", "100"),
    ("numeric(2,2)", "0.07", "0.07"),
    ("boolean", True, True),
    ("boolean", "true", True),
    ("boolean", "t", True),
    ("boolean", "False", False),
    ("boolean", "f", False),
    ("boolean", 0, False),
    ("date", "2024-02-29", "2024-02-29"),
    ("date", "2024-02-29T00:00:00Z", "2024-02-29"),
    ("timestamptz", "2024-01-02T03:04:05.123456Z", "2024-01-02T03:04:05.123456Z"),
    ("timestamptz", "2024-01-02T03:04:05", "2024-01-02T03:04:05.000000Z"),
    ("timestamp", "2024-01-02 03:04:05.5", "2024-01-02T03:04:05.500000Z"),
    ("timestamptz", "2024-01-02 03:04:05.5+02", "2024-01-02T01:04:05.500000Z"),
    ("timestamptz", "2024-01-02T03:04:05.123456000-05:30", "2024-01-02T08:34:05.123456Z"),
    ("uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("bytea", "0xDEADbeef", "deadbeef"),
    ("bytea", "\\xdead", "dead"),
    ("bytea", "", ""),
    ("jsonb", '{"a": 1.10}', '{"a": 1.10}'),
    ("text[]", '{"a","b"}', '{"a","b"}'),
    ("varchar(5)", "", ""),
]

REFUSED = [
    ("bigint", normalisers.Digits("5.5")),
    ("bigint", normalisers.Digits("1.2345678901234567e+18")),
    ("bigint", normalisers.Digits("9.007199254740994e+15")),
    ("smallint", normalisers.Digits("3.2768e+4")),
    ("bigint", True),
    ("bigint", "5.0"),
    ("bigint", "９"),
    ("bigint", 2**63),
    ("smallint", 32768),
    ("integer", "1_0"),
    ("double precision", "NaN"),
    ("double precision", "4,5"),
    ("double precision", "1e999"),
    ("double precision", "1_0"),
    ("double precision", False),
    ("real", 1e39),
    ("numeric(12,2)", "12.505"),
    ("numeric(12,2)", "12345678901.00"),
    ("numeric(12,2)", "NaN"),
    ("numeric(12,2)", "1e4000"),
    ("boolean", "yes"),
    ("boolean", 2),
    ("date", "2023-02-29"),
    ("date", "2024-02-29T12:00:00Z"),
    ("timestamptz", "2024-W30-1T03:04:05.123456Z"),
    ("timestamptz", "2024-01-02T03:04:05.1234567"),
    ("timestamptz", "2024-01-02"),
    ("timestamptz", "0001-01-01T00:00:00+01"),
    ("timestamptz", 1704164645),
    ("uuid", "a0eebc999c0b4ef8bb6d6bb9bd380a11"),
    ("bytea", "abc"),
    ("bytea", "zz"),
    ("text", 5),
    ("jsonb", {"a": 1}),
]


def column(spelling: str, allow_nan: bool = False) -> Column:
    return Column("c", ColumnType.parse(spelling), allow_nan=allow_nan)


@pytest.mark.parametrize(("spelling", "form", "raw"), FORMS)
def test_every_form_becomes_the_raw_form(spelling, form, raw):
    value = normalisers.normaliser(column(spelling))(form)

    assert (type(value), value) == (type(raw), raw)


@pytest.mark.parametrize(("spelling", "form"), REFUSED)
def test_what_is_no_form_of_the_type_is_refused_and_not_shown(spelling, form):

    with pytest.raises(normalisers.InvalidValue) as caught:
        normalisers.normaliser(column(spelling))(form)

    got, expected = str(caught.value).split("; expected ")
    assert got in ("got a number", "got a boolean", "got an object", f"got text of {len(str(form))} characters")
    assert expected


@pytest.mark.parametrize("spelling", ["date", "timestamp", "timestamptz"])
@pytest.mark.parametrize(
    ("form", "got"),
    [
        ("infinity", "infinity"),
        ("-infinity", "-infinity"),
        ("0044-03-15 BC", "a year BC"),
        ("0044-03-15 12:00:00 BC", "a year BC"),
        ("10000-01-01", "a year above 9999"),
        ("294276-12-31T23:59:59.999999", "a year above 9999"),
    ],
)
def test_a_date_that_the_calendar_lacks_is_refused_by_its_kind(spelling, form, got):
    with pytest.raises(normalisers.InvalidValue, match=f"got {got}; expected a .* of the years 1 to 9999"):
        normalisers.normaliser(column(spelling))(form)


@pytest.mark.parametrize(("form", "raw"), [("NaN", "NaN"), ("nan", "NaN"), ("-inf", "-Infinity"), ("Infinity", "Infinity")])
def test_nan_and_infinity_pass_where_the_contract_allows(form, raw):
    assert normalisers.normaliser(column("double precision", allow_nan=True))(form) == raw


@pytest.mark.parametrize("spelling", ["numeric(12,2)", "bigint"])
def test_a_decimal_or_an_integer_that_came_as_a_double_asks_to_be_read_again(spelling):
    with pytest.raises(normalisers.InexactNumber):
        normalisers.normaliser(column(spelling))(1.5e3)


@given(digits=st.integers(-(10**12) + 1, 10**12 - 1), exponent=st.booleans())
def test_every_decimal_that_fits_keeps_its_value(digits, exponent):
    value = Decimal(digits).scaleb(-2)
    form = f"{value:E}" if exponent else f"{value:f}"

    raw = normalisers.normaliser(column("numeric(12,2)"))(form)

    assert Decimal(raw) == value
    assert raw == f"{value:.2f}" or value == 0


@given(st.text(max_size=30))
def test_no_text_breaks_a_normaliser(form):
    for spelling in ("bigint", "real", "numeric(9,3)", "boolean", "date", "timestamptz", "uuid", "bytea"):
        try:
            normalisers.normaliser(column(spelling))(form)
        except normalisers.InvalidValue:
            continue
