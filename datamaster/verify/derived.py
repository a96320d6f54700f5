"""review_flat and the gold tables against statements written apart from the jobs that build them.

Averages: the source gives each group's sum and count in double precision, exact for scores in halves. The lake shows
round(sum / count, 2). Where the exact average lies half-way between two shown values (3.025), engines differ in which one
they take, so either is right there and nothing else is anywhere; the ranks are then those of the shown values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from datamaster.platform.query import Athena, QueryFailed
from datamaster.verify.masked_columns import masked
from datamaster.verify.report import TableReport
from datamaster.verify.silver import source_table, unread
from datamaster.verify.source_snapshot import SourceSnapshot, names
from datamaster.verify.values import typed
from datamaster.verify.workbench import Workbench, quoted
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
"""The columns that review_flat takes from the tables that a review refers to."""
DOUBLES = frozenset({"beer_abv", "avg_overall", "overall_sum", "popularity"})


@dataclass(frozen=True)
class Gold:
    """One gold table: the key of a row within its month, what else it shows, and the order that ``rank`` counts in."""

    name: str
    key: str
    shown: tuple[str, ...]
    order: str
    popularity: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column of the table."""
        return (*MONTH, "rank", self.key, *self.shown, "review_count", "avg_overall", *(("popularity",) if self.popularity else ()))


GOLD = (
    Gold("top_beers_by_rating", "beer_id", ("beer_name",), "avg_overall DESC NULLS LAST, review_count DESC, beer_id"),
    Gold("top_breweries_by_rating", "brewery_id", ("brewery_name",), "avg_overall DESC NULLS LAST, review_count DESC, brewery_id"),
    Gold("top_styles_by_popularity", "beer_style", (), "popularity DESC NULLS LAST, review_count DESC, beer_style NULLS LAST", True),
    Gold("top_drinkers", "profile_id", ("profile_name", "state"), "review_count DESC, profile_id"),
    Gold("state_by_review_volume", "state", (), "review_count DESC, state NULLS LAST"),
)


def has_reviews(contracts: ContractSet) -> bool:
    """Whether the contracts describe the tables that review_flat and gold are built from."""
    return all(table in contracts.tables for table in BASE)


def compare_flat(bench: Workbench, athena: Athena, contracts: ContractSet) -> TableReport:
    """Compare dm_silver.review_flat with the join of the source's rows, which ``compare_silver`` left on the bench."""
    columns = contracts.table("review").columns
    review = (*names(columns), *MONTH)
    values = {column.name: typed(column) for column in columns} | {name: _cast(name) for name in (*MONTH, *FLAT_COLUMNS)}
    failure = _download(bench, athena, "dm_silver.review_flat", values)
    if failure:
        return failure
    joins = " ".join(f"LEFT JOIN {quoted(source_table(t))} {t} ON {t}.{t}_id = review.{t}_id" for t in BASE[1:])
    taken = [f"review.{quoted(name)}" for name in review] + [f"{table}.{quoted(name)}" for name, table in FLAT_COLUMNS.items()]
    bench.run(f"CREATE VIEW expected AS SELECT {', '.join(taken)}, TRUE AS present FROM {quoted(source_table('review'))} review {joins}")
    return bench.compare("dm_silver.review_flat", "expected", "lake", ("review_id",), [name for name in values if name != "review_id"])


def compare_gold(
    bench: Workbench,
    source: SourceSnapshot,
    athena: Athena,
    gold: Gold,
    contracts: ContractSet,
    masks: Mapping[str, Mapping[str, str]],
    mask_key: bytes,
) -> TableReport:
    """Compare one gold table with its PostgreSQL statement in gold/<table>.sql."""
    failure = _download(bench, athena, f"dm_gold.{gold.name}", {name: _cast(name) for name in gold.columns})
    if failure:
        return failure
    path = bench.folder / "groups.csv"
    statement = files("datamaster.verify").joinpath("gold", f"{gold.name}.sql").read_text("utf-8")
    source.copy_statement(statement, contracts.table("review").source_schema, path)
    columns = (*MONTH, gold.key, *gold.shown, "review_count", "rated_count", "overall_sum")
    hidden = {name: masks[table][name] for name, table in FLAT_COLUMNS.items() if name in columns and name in masks[table]}
    values = {name: masked(hidden[name], quoted(name), mask_key) if name in hidden else _cast(name) for name in columns}
    bench.load("groups", path, columns, values)
    bench.run(_expected(gold))
    keys = (*MONTH, gold.key)
    return bench.compare(f"dm_gold.{gold.name}", "expected", "lake", keys, [name for name in gold.columns if name not in keys])


def _expected(gold: Gold) -> str:
    """The view that gives each group its shown average, then its rank within the month by what is shown."""
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


def _download(bench: Workbench, athena: Athena, table: str, values: Mapping[str, str]) -> TableReport | None:
    """Load a table of the lake as ``lake``; ``values`` are the SQL of its columns over Athena's text."""
    path = bench.folder / "lake.csv"
    try:
        athena.download(f"SELECT {', '.join(quoted(name) for name in values)} FROM {table}", path)
    except QueryFailed as error:
        return unread(table, error)
    bench.run("DROP VIEW IF EXISTS expected")
    bench.load("lake", path, tuple(values), values)
    return None


def _cast(name: str) -> str:
    if name in FLAT_COLUMNS and name not in DOUBLES:
        return quoted(name)
    return f"TRY_CAST({quoted(name)} AS {'DOUBLE' if name in DOUBLES else 'BIGINT'})"
