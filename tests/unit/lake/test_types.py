import pytest

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


TYPES = sorted({ColumnType.parse(f"{r.name}(9,2)" if r.name == "numeric" else r.name).iceberg for r in RULES})


def test_a_type_widens_to_itself_and_to_a_wider_one_of_its_kind_only() -> None:
    wider = {(one, two) for one in TYPES for two in TYPES if widens(one, two) and one != two}

    assert wider == {("int", "long"), ("float", "double")}
    assert all(widens(one, one) for one in TYPES)


@pytest.mark.parametrize(
    ("new", "allowed"), [("decimal(12, 2)", True), ("decimal(8, 2)", False), ("decimal(12, 3)", False), ("double", False)]
)
def test_a_decimal_widens_by_precision_only(new: str, allowed: bool) -> None:
    assert widens("decimal(9, 2)", new) is allowed
