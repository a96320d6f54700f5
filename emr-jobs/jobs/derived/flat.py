"""review_flat: every live review beside the names of its brewery, beer and profile."""

from __future__ import annotations

from collections.abc import Collection

from jobs.iceberg.catalog import SILVER, engine_name
from jobs.iceberg.tables import Field

TABLE = "review_flat"
FACT = "review"
DIMENSIONS = {"brewery": "brewery_id", "beer": "beer_id", "profile": "profile_id"}
"""Each dimension table, and the column of the review (and the key of the dimension) that names its row."""
PARTITION = ("review_year", "review_month")

FIELDS = [
    Field("review_id", "long"),
    Field("brewery_id", "long"),
    Field("brewery_name", "string"),
    Field("beer_id", "long"),
    Field("beer_name", "string"),
    Field("beer_style", "string"),
    Field("beer_abv", "double"),
    Field("profile_id", "long"),
    Field("profile_name", "string"),
    Field("state", "string"),
    Field("review_overall", "double"),
    Field("review_aroma", "double"),
    Field("review_appearance", "double"),
    Field("review_palate", "double"),
    Field("review_taste", "double"),
    Field("review_time", "long"),
    Field("review_year", "int"),
    Field("review_month", "int"),
    Field("created_at", "timestamptz"),
    Field("updated_at", "timestamptz"),
]

_FROM = {"brewery": ("brewery_name",), "beer": ("beer_name", "beer_style", "beer_abv"), "profile": ("profile_name", "state")}
_TYPES = {f.name: f.engine_type for f in FIELDS}


def query(months: str, present: Collection[str]) -> str:
    """The join of the live rows of the months that ``months`` (a condition on review r) names.

    A dimension row that has not arrived, or was deleted, leaves its columns null; it fills in with its own batch. So does
    a dimension that has no table yet: ``present`` names those that have one.
    """
    sources = {f.name: f"r.{f.name}" for f in FIELDS}
    joins = []
    for dimension, key in DIMENSIONS.items():
        here = dimension in present
        sources |= {column: f"{dimension}.{column}" if here else f"cast(NULL AS {_TYPES[column]})" for column in _FROM[dimension]}
        if here:
            joins.append(
                f"LEFT JOIN {engine_name(SILVER, dimension)} {dimension} ON {dimension}.{key} = r.{key} AND {dimension}.deleted_at IS NULL"
            )
    selected = ", ".join(f"{source} AS {name}" for name, source in sources.items())
    return f"SELECT {selected} FROM {engine_name(SILVER, FACT)} r {' '.join(joins)} WHERE r.deleted_at IS NULL AND ({months})"
