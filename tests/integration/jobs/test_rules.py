"""The rules in Python and the same in the job's SQL give the same rows; the property test's oracle knows neither."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sqlglot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from jobs.iceberg.statements import query
from jobs.iceberg.tables import applied_at
from jobs.silver import merge, rules
from jobs.silver.changes import fold, ordered
from lake import cdc
from lake.contract import parse_contract
from lake.generations import Fence
from tests.integration.jobs.domain import contract_head, name_the_main_module
from tests.unit.jobs.test_statements import Recorder

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[3]
CONTRACT = parse_contract(
    contract_head("item")
    + """\
      - {name: title, physicalType: varchar(9), classification: public}
      - {name: ratio, physicalType: double}
      - {name: body, physicalType: text, classification: public}
      - {name: size, physicalType: integer, customProperties: [{property: unchanged, value: true}]}
""",
    "item.yaml",
)
WHOLE, PARTIAL = ("title", "ratio"), ("body", "size")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FENCES = (Fence(EPOCH + timedelta(seconds=10)), Fence(EPOCH + timedelta(seconds=20)))
SECONDS, KEYS = (5, 10, 15, 25), 6
SCHEMA = (
    "item_id bigint, title string, ratio double, body string, size int, operation string, cdc_position string, "
    "cdc_built_at timestamp, cdc_committed_at timestamp, cdc_unchanged array<string>"
)


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """An engine by itself: no catalog, no store."""
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    with pytest.MonkeyPatch.context() as patch:
        name_the_main_module(patch)
        patch.setenv("TZ", "UTC")
        session = SparkSession.builder.remote(f"sc://127.0.0.1:{server.listening_address[1]}").create()
        session.conf.set("spark.sql.session.timeZone", "UTC")
        yield session
        session.stop()
    server.stop()


@st.composite
def histories(draw: st.DrawFn) -> list[rules.Change]:
    """A few changes of a key; those of one place are the same change, delivered again."""
    places = draw(st.lists(st.tuples(st.sampled_from(SECONDS), st.integers(0, 5)), min_size=1, max_size=5, unique=True))
    changes = []
    for second, number in places:
        operation = draw(st.sampled_from([cdc.INSERT, cdc.UPDATE, cdc.DELETE])) if number else cdc.LOAD
        position = str(cdc.Position(number, 1, 0)) if number else cdc.ZERO_POSITION
        absent = draw(st.frozensets(st.sampled_from(PARTIAL))) if operation != cdc.DELETE else frozenset()
        marks = [""] if operation == cdc.UPDATE else []
        image = {
            "title": draw(st.sampled_from(["a", "b", None])),
            "ratio": draw(st.sampled_from([-float("inf"), 0.5, None])),
            "body": draw(st.sampled_from(["", "x", None])),
            "size": draw(st.sampled_from([-1, 3, None])),
        }
        unchanged = frozenset(draw(st.sampled_from([cdc.UNSEEN, *marks])) + name for name in absent)
        values = dict.fromkeys(image) if operation == cdc.DELETE else {k: None if k in absent else v for k, v in image.items()}
        changes.append(rules.Change(operation, position, second * 1_000_000, values, unchanged))
    if draw(st.booleans()):
        values = {"title": "foreign", "ratio": 1.0, "body": "f", "size": 9}
        changes.append(rules.Change(cdc.LOAD, None, 5_000_000, values))
    # positions of one generation name one change: what a place stands for does not depend on when it was built
    known: dict[rules.Place, rules.Change] = {}
    return [known.setdefault(change.place(FENCES), change) for change in [*changes, *draw(st.lists(st.sampled_from(changes), max_size=2))]]


def bronze(spark: Any, lives: list[list[rules.Change]]) -> Any:
    rows = [
        (
            *(key, *(change.values[name] for name in (*WHOLE, *PARTIAL)), change.operation, change.position),
            *(EPOCH + timedelta(microseconds=change.built_at), None, sorted(change.unchanged) or None),
        )
        for key, changes in enumerate(lives)
        for change in changes
    ]
    return ordered(spark.createDataFrame(rows, SCHEMA), FENCES)


def folded_rows(spark: Any, lives: list[list[rules.Change]]) -> Any:
    """The job's fold, computed here and now: its views are the next fold's."""
    frame = fold(spark, bronze(spark, lives), CONTRACT)
    return spark.createDataFrame(frame.collect(), frame.schema)


def place(row: Any, name: str) -> rules.Place | None:
    generation = row[f"{name}_generation"]
    return None if generation is None else rules.Place(generation, row[f"{name}_position"])


def of_sql(row: Any) -> rules.Folded:
    last = place(row, "cdc_last")
    assert last is not None
    partial = {name: (row[name], row[applied_at(name)]) for name in PARTIAL}
    whole = {name: row[name] for name in WHOLE}
    return rules.Folded(last, row["cdc_is_delete"], place(row, "cdc_image"), whole, partial, row["cdc_loaded_generation"])


def select(spark: Any, folded: Any, expressions: dict[str, str]) -> dict[int, Any]:
    """What a clause of the MERGE gives each folded row (``s``) beside the row that silver holds (``t``)."""
    folded.createOrReplaceTempView("s")
    columns = ", ".join(f"{expression} as `{name}`" for name, expression in expressions.items() if name != "item_id")
    return {row["item_id"]: row for row in spark.sql(f"select s.item_id, {columns} from s left join t on s.item_id = t.item_id").collect()}


class Clauses(NamedTuple):
    """The value of each column in the clauses of merge.sql."""

    updates: dict[str, str]
    inserts: dict[str, str]


def clauses_of_merge(retired_below: int) -> Clauses:
    recorder = Recorder()
    query(recorder, "silver/merge", merge.merge_parts("item", CONTRACT, None, EPOCH, retired_below), folded="folded")
    update, insert = (when.args["then"] for when in sqlglot.parse_one(recorder.text, read="spark").find_all(exp.When))
    values = zip(insert.this.expressions, insert.expression.expressions, strict=True)
    return Clauses(
        {item.this.name: item.expression.sql("spark") for item in update.expressions},
        {column.name: value.sql("spark") for column, value in values},
    )


def row_of_sql(row: Any) -> rules.Row:
    return rules.Row(
        rules.Place(row["cdc_generation"], row["cdc_position"]),
        {name: row[name] for name in WHOLE},
        {name: (row[name], row[applied_at(name)]) for name in PARTIAL},
        row["deleted_at"] is not None,
        row["cdc_loaded"],
        tuple((row["cdc_missing"] or "").split(",")) if row["cdc_missing"] else (),
    )


@given(
    lives=st.lists(histories(), min_size=KEYS, max_size=KEYS),
    later=st.lists(histories(), min_size=KEYS, max_size=KEYS),
    retired_below=st.sampled_from([0, FENCES[0].generation, FENCES[1].generation]),
)
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
def test_fold_and_merge_are_the_same_in_python_and_in_sql(
    spark: Any, lives: list[list[rules.Change]], later: list[list[rules.Change]], retired_below: int
) -> None:
    clauses = clauses_of_merge(retired_below)
    first, second = folded_rows(spark, lives), folded_rows(spark, later)
    expected = [[rules.fold(changes, FENCES, WHOLE, PARTIAL) for changes in batch] for batch in (lives, later)]
    for frame, batch in zip((first, second), expected, strict=True):
        assert [of_sql(row) for row in sorted(frame.collect(), key=lambda row: row["item_id"])] == batch

    first.createOrReplaceTempView("t")
    inserted = select(spark, first, clauses.inserts)
    rows = [rules.merged(None, folded, retired_below) for folded in expected[0]]
    assert [row_of_sql(inserted[key]) for key in range(KEYS)] == rows

    names = [name for name in next(iter(inserted.values())).asDict() if name != "created_at"]
    kinds = {"item_id": "bigint", "ratio": "double", "size": "int", "cdc_generation": "bigint", "cdc_loaded": "bigint"}
    schema = ", ".join(f"`{name}` {'timestamp' if name.endswith('ed_at') else kinds.get(name, 'string')}" for name in names)
    spark.createDataFrame([tuple(row[name] for name in names) for row in inserted.values()], schema).createOrReplaceTempView("t")
    updated = select(spark, second, clauses.updates)
    assert [row_of_sql(updated[key]) for key in range(KEYS)] == [
        rules.merged(row, folded, retired_below) for row, folded in zip(rows, expected[1], strict=True)
    ]


PLACES = st.builds(rules.Place, st.sampled_from([-1, 0, *(fence.generation for fence in FENCES)]), st.just(cdc.ZERO_POSITION))
PATHS = st.one_of(
    st.none(),
    st.builds(
        lambda places, steps, end: "".join(f"{place.text()}{step}" for place, step in zip(places, steps, strict=False))[:-1] + end,
        st.lists(PLACES, min_size=1, max_size=3),
        st.lists(st.sampled_from("<>"), min_size=3, max_size=3),
        st.sampled_from(["", "<", cdc.UNSEEN]),
    ),
)


@given(paths=st.lists(PATHS, min_size=20, max_size=20))
@settings(max_examples=10, suppress_health_check=list(HealthCheck))
def test_what_is_missing_is_the_same_in_python_and_in_sql(spark: Any, paths: list[str | None]) -> None:
    """``20<10``: taken over at 20, written at 10; an open end or a question mark is a value that is not known, ``>`` a doubt."""
    rows = spark.createDataFrame(list(enumerate(paths)), "n int, path string")
    found = {row["n"]: row["names"] for row in rows.selectExpr("n", f"{merge.missing({'body': 'path'}, 'true')} as names").collect()}

    assert [found[n] for n in range(len(paths))] == [",".join(rules.missing({"body": path}, False)) or None for path in paths]


@pytest.mark.parametrize("module", ["oracle.py"])
def test_the_oracle_of_the_property_test_imports_neither(module: str) -> None:
    tree = ast.parse((ROOT / "tests/property" / module).read_text())
    modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}

    assert not {name for name in modules if name.split(".")[0] in {"jobs", "lake", "batches"}}
