import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.types import RULES, ColumnType, UnknownType, widens


@pytest.mark.parametrize("spelling", [s for rule in RULES for s in (rule.name, *rule.aliases) if rule.name != "numeric"])
def test_every_spelling_of_a_type_is_read(spelling: str) -> None:
    assert ColumnType.parse(spelling.upper()).rule in RULES


def test_brackets_carry_numbers() -> None:
    assert ColumnType.parse("numeric(12,2)").iceberg == "decimal(12, 2)"
    assert ColumnType.parse("character varying(40)").length == 40
    assert ColumnType.parse("timestamp(3) with time zone").name == "timestamptz"
    assert ColumnType.parse("text[]").name == ColumnType.parse("numeric[]").name == "array"


@pytest.mark.parametrize("spelling", ["numeric", "numeric(39,2)", "numeric(4,5)", "money", "datetime", "", "nonsense[]"])
def test_what_the_lake_does_not_carry_is_refused(spelling: str) -> None:
    with pytest.raises(UnknownType):
        ColumnType.parse(spelling)


@given(st.sampled_from(RULES), st.sampled_from(RULES))
def test_widening_is_never_mutual_between_types_of_another_size(a: object, b: object) -> None:
    one, two = (ColumnType.parse(f"{r.name}(9,2)" if r.name == "numeric" else r.name) for r in (a, b))  # type: ignore[attr-defined]
    if widens(one, two) and widens(two, one):
        assert one.iceberg == two.iceberg


def test_a_numeric_widens_by_precision_only() -> None:
    assert widens(ColumnType.parse("numeric(9,2)"), ColumnType.parse("numeric(12,2)"))
    assert not widens(ColumnType.parse("numeric(12,2)"), ColumnType.parse("numeric(9,2)"))
    assert not widens(ColumnType.parse("numeric(9,2)"), ColumnType.parse("numeric(9,3)"))
