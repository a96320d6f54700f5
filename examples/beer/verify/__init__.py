"""The proof of the demo's derived tables. It compares review_flat and gold with statements written apart from their SQL.

The source gives the sum and count of each group in double precision, which is exact for scores in halves. The lake shows
``round(sum / count, 2)``. If the exact average lies half-way between two shown values (3.025), engines round it differently.
Either value is then correct. For every other average only one value is. The ranks are those of the shown values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.resources import files

from beer import CONTRACTS
from datamaster.platform.query import QueryFailed
from datamaster.verify.derived_tables import Check, Sides
from datamaster.verify.masked_columns import masked
from datamaster.verify.report import TableReport
from datamaster.verify.silver import source_table, unread
from datamaster.verify.source_snapshot import names
from datamaster.verify.values import typed
from datamaster.verify.workbench import quoted
from lake.contract import ContractSet

HALF_A_STEP = "0.005 + 1e-10"
BASE = ("review", "beer", "brewery", "profile")
MONTH = ("review_year", "review_month")
FLAT_COLUMNS = {
    "brewery_name": "brewery",
    "beer_name": "beer",
    "beer_style": "beer",
    "beer_abv": "beer",
    "profile_name": "profile",
    "state": "profile",
}
"""The columns of review_flat that come from the tables a review refers to."""
POPULARITY = "popularity"
DOUBLES = frozenset({"beer_abv", "avg_overall", "overall_sum", POPULARITY})


@dataclass(frozen=True)
class Gold:
    """One gold table: the key of a row within its month, its other columns, and the order that ``rank`` counts in."""

    name: str
    statement: str
    key: str
    shown: tuple[str, ...]
    order: str

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the table."""
        return (*MONTH, "rank", self.key, *self.shown, "review_count", "avg_overall")

    @classmethod
    def of(cls, name: str, statement: str) -> Gold:
        """Parse <table>.sql. Its first comments give the key, the shown columns and the order."""
        comments = [line.removeprefix("-- ") for line in statement.splitlines() if line.startswith("-- ")]
        front = dict(line.split(": ", 1) for line in comments if ": " in line)
        return cls(name, statement, front["key"], tuple(front["shown"].split(", ")) if "shown" in front else (), front["order"])


def checks(contracts: ContractSet) -> dict[str, Check]:
    """The checks of the demo's derived tables. A table is left out if its published definition differs from the demo's."""
    derived = ContractSet.from_directory(CONTRACTS).derived
    found: dict[str, Check] = {}
    for table in contracts.derived.values():
        if table == derived.get(table.name):
            found[table.name] = compare_flat if table.layer == "silver" else partial(compare_gold, _gold(table.name))
    return found


def _gold(name: str) -> Gold:
    return Gold.of(name, files("beer.verify").joinpath(f"{name}.sql").read_text("utf-8"))


def compare_flat(sides: Sides) -> TableReport:
    """Compare dm_silver.review_flat with the join of the source's rows, which ``compare_silver`` left on the bench."""
    bench = sides.bench
    columns = sides.contracts.table("review").columns
    review = (*names(columns), *MONTH)
    values = {column.name: typed(column) for column in columns} | {name: _cast(name) for name in (*MONTH, *FLAT_COLUMNS)}
    failure = _download(sides, "dm_silver.review_flat", values)
    if failure:
        return failure
    joins = " ".join(f"LEFT JOIN {quoted(source_table(t))} {t} ON {t}.{t}_id = review.{t}_id" for t in BASE[1:])
    taken = [f"review.{quoted(name)}" for name in review] + [f"{table}.{quoted(name)}" for name, table in FLAT_COLUMNS.items()]
    bench.run(f"CREATE VIEW expected AS SELECT {', '.join(taken)}, TRUE AS present FROM {quoted(source_table('review'))} review {joins}")
    return bench.compare("dm_silver.review_flat", "expected", "lake", ("review_id",), [name for name in values if name != "review_id"])


def compare_gold(gold: Gold, sides: Sides) -> TableReport:
    """Compare one gold table with its PostgreSQL statement in <table>.sql."""
    failure = _download(sides, f"dm_gold.{gold.name}", {name: _cast(name) for name in gold.columns})
    if failure:
        return failure
    bench = sides.bench
    path = bench.folder / "groups.csv"
    sides.source.copy_statement(gold.statement, sides.contracts.table("review").source_schema, path)
    columns = (*MONTH, gold.key, *(name for name in gold.shown if name != POPULARITY), "review_count", "rated_count", "overall_sum")
    masks = {name: sides.masks[table] for name, table in FLAT_COLUMNS.items()}
    hidden = {name: masks[name][name] for name in columns if name in masks.get(name, ())}
    values = {name: masked(hidden[name], quoted(name), sides.mask_key) if name in hidden else _cast(name) for name in columns}
    bench.load("groups", path, columns, values)
    bench.run(_expected(gold))
    keys = (*MONTH, gold.key)
    return bench.compare(f"dm_gold.{gold.name}", "expected", "lake", keys, [name for name in gold.columns if name not in keys])


def _expected(gold: Gold) -> str:
    """The view of expected rows: each group's average as shown, and its rank within the month."""
    key = quoted(gold.key)
    exact = "o.overall_sum / o.rated_count"
    near = f"abs(g.avg_overall - {exact}) <= {HALF_A_STEP} AND g.avg_overall = round(g.avg_overall, 2)"
    shown = f"CASE WHEN o.rated_count = 0 THEN NULL WHEN {near} THEN g.avg_overall ELSE round({exact}, 2) END"
    same = f"o.review_year = g.review_year AND o.review_month = g.review_month AND o.{key} IS NOT DISTINCT FROM g.{key}"
    of_lake = f"SELECT review_year, review_month, {key}, any_value(avg_overall) AS avg_overall FROM lake GROUP BY ALL"
    return f"""
        CREATE VIEW expected AS
        WITH averages AS (SELECT o.*, {shown} AS avg_overall FROM groups o LEFT JOIN ({of_lake}) g ON {same}),
             popular AS (SELECT *, round(review_count * avg_overall, 2) AS popularity FROM averages)
        SELECT *, row_number() OVER (PARTITION BY review_year, review_month ORDER BY {gold.order}) AS rank FROM popular"""


def _download(sides: Sides, table: str, values: Mapping[str, str]) -> TableReport | None:
    """Load a table of the lake as ``lake``. ``values`` maps each column to SQL that converts Athena's text."""
    bench = sides.bench
    path = bench.folder / "lake.csv"
    try:
        sides.athena.download(f"SELECT {', '.join(quoted(name) for name in values)} FROM {table}", path)
    except QueryFailed as error:
        return unread(table, error)
    bench.run("DROP VIEW IF EXISTS expected")
    bench.load("lake", path, tuple(values), values)
    return None


def _cast(name: str) -> str:
    if name in FLAT_COLUMNS and name not in DOUBLES:
        return quoted(name)
    return f"TRY_CAST({quoted(name)} AS {'DOUBLE' if name in DOUBLES else 'BIGINT'})"
