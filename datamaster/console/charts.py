"""The gold tables as charts: a map of states, the best beers and breweries, popular styles and busy drinkers."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from datamaster.aws.dashboards.analytics import RATED
from datamaster.console import platform_data
from datamaster.console.platform_data import Month
from datamaster.console.states import nothing, shown

# Column and row of each state. All tiles have the same size, as on a printed cartogram.
TILES = {
    "AK": (0, 0), "ME": (10, 0), "VT": (9, 1), "NH": (10, 1), "WA": (0, 2), "ID": (1, 2), "MT": (2, 2), "ND": (3, 2), "MN": (4, 2),
    "IL": (5, 2), "WI": (6, 2), "MI": (7, 2), "NY": (8, 2), "RI": (9, 2), "MA": (10, 2), "OR": (0, 3), "NV": (1, 3), "WY": (2, 3),
    "SD": (3, 3), "IA": (4, 3), "IN": (5, 3), "OH": (6, 3), "PA": (7, 3), "NJ": (8, 3), "CT": (9, 3), "CA": (0, 4), "UT": (1, 4),
    "CO": (2, 4), "NE": (3, 4), "MO": (4, 4), "KY": (5, 4), "WV": (6, 4), "VA": (7, 4), "MD": (8, 4), "DE": (9, 4), "AZ": (1, 5),
    "NM": (2, 5), "KS": (3, 5), "AR": (4, 5), "TN": (5, 5), "NC": (6, 5), "SC": (7, 5), "DC": (8, 5), "OK": (3, 6), "LA": (4, 6),
    "MS": (5, 6), "AL": (6, 6), "GA": (7, 6), "HI": (0, 7), "TX": (3, 7), "FL": (8, 7),
}  # fmt: skip
AMBER = "#b8741a"
BEFORE = "SELECT DISTINCT review_year, review_month FROM dm_gold.state_by_review_volume ORDER BY 1 DESC, 2"


def page() -> None:
    """Show the charts of a year, or of some of its months."""
    st.header("Charts")
    with shown("the months"):
        known = platform_data.ask(BEFORE)
    if known.empty:
        nothing("Gold holds no month yet.", "`dm run gold` builds it.")
        return
    one, two = st.columns([1, 3])
    year = int(one.selectbox("Year", known["review_year"].unique().tolist(), key="year"))
    months = two.pills("Months", known[known["review_year"] == year]["review_month"].tolist(), selection_mode="multi", key=f"months-{year}")
    chosen = Month(year, tuple(sorted(int(month) for month in months)))
    with shown("the charts"):
        states, beers, breweries = (
            platform_data.ask(_states(chosen)),
            platform_data.ask(_best("beer", chosen)),
            platform_data.ask(_best("brewery", chosen)),
        )
        styles, drinkers = platform_data.ask(_styles(chosen)), platform_data.ask(_drinkers(chosen))
    counted = int(states["review_count"].sum())
    st.caption(f"{counted:,} reviews in {year}" + (f", months {', '.join(map(str, chosen.months))}" if chosen.months else ""))
    left, right = st.columns(2, border=True)
    left.subheader("Reviews by state")
    left.altair_chart(_map(states), width="stretch")
    right.subheader("Popular styles")
    right.altair_chart(_bars(styles, "beer_style", "popularity", "reviews × rating"), width="stretch")
    left, middle, right = st.columns(3, border=True)
    for place, title, what, table in ((left, "Best beers", "beer", beers), (middle, "Best breweries", "brewery", breweries)):
        place.subheader(title)
        if table.empty:
            place.info("None has 25 reviews in one month.", icon=":material/inbox:")
        else:
            rated = told_apart(table, f"{what}_name", f"{what}_id")
            place.altair_chart(_bars(rated, f"{what}_name", "avg_overall", "rating", ".2f"), width="stretch")
    right.subheader("Busiest drinkers")
    apart = told_apart(drinkers, "profile_name", "profile_id")
    right.altair_chart(_bars(apart, "profile_name", "review_count", "reviews"), width="stretch")


def told_apart(rows: pd.DataFrame, name: str, key: str) -> pd.DataFrame:
    """Append the key to names that occur twice. Otherwise bars of the same name would be drawn over each other."""
    twice = rows[name].duplicated(keep=False)
    return rows.assign(**{name: rows[name].where(~twice, rows[name] + " #" + rows[key].astype(str))})


def _states(chosen: Month) -> str:
    return (
        f"SELECT state, sum(review_count) AS review_count, {RATED} FROM dm_gold.state_by_review_volume WHERE {chosen.where} GROUP BY state"
    )


def _best(what: str, chosen: Month) -> str:
    table = {"beer": "top_beers_by_rating", "brewery": "top_breweries_by_rating"}[what]
    return (
        f"SELECT {what}_id, {what}_name, sum(review_count) AS review_count, {RATED} FROM dm_gold.{table} WHERE {chosen.where} "
        f"GROUP BY {what}_id, {what}_name ORDER BY avg_overall DESC, review_count DESC, {what}_id LIMIT 10"
    )


def _styles(chosen: Month) -> str:
    return (
        "SELECT coalesce(beer_style, 'unknown') AS beer_style, sum(review_count) AS review_count, round(sum(popularity), 2) AS popularity "
        f"FROM dm_gold.top_styles_by_popularity WHERE {chosen.where} GROUP BY beer_style ORDER BY popularity DESC, beer_style LIMIT 12"
    )


def _drinkers(chosen: Month) -> str:
    return (
        f"SELECT profile_id, profile_name, sum(review_count) AS review_count FROM dm_gold.top_drinkers WHERE {chosen.where} "
        "GROUP BY profile_id, profile_name ORDER BY review_count DESC, profile_id LIMIT 10"
    )


def _map(states: pd.DataFrame) -> alt.LayerChart:
    """Every state as a tile. Darker tiles have more reviews. Reviews without a known state are left out."""
    counted = states.set_index("state")
    tiles = pd.DataFrame(
        {
            "state": list(TILES),
            "column": [column for column, _ in TILES.values()],
            "row": [row for _, row in TILES.values()],
            "reviews": [int(counted["review_count"].get(state, 0)) for state in TILES],
            "rating": [counted["avg_overall"].get(state) for state in TILES],
        }
    )
    base = alt.Chart(tiles).encode(
        x=alt.X("column:O", axis=None, scale=alt.Scale(paddingInner=0.08)),
        y=alt.Y("row:O", axis=None, scale=alt.Scale(paddingInner=0.08)),
        tooltip=["state", alt.Tooltip("reviews", format=","), alt.Tooltip("rating", format=".2f")],
    )
    shade = alt.Color("reviews:Q", scale=alt.Scale(scheme="goldorange"), legend=alt.Legend(title="reviews", orient="bottom"))
    dark = alt.condition(alt.datum.reviews > tiles["reviews"].max() * 0.6, alt.value("white"), alt.value("#333"))
    tiles_drawn = base.mark_rect(cornerRadius=4).encode(color=shade)
    drawn: alt.LayerChart = (tiles_drawn + base.mark_text(fontSize=12).encode(text="state", color=dark)).properties(height=380)
    return drawn


def _bars(rows: pd.DataFrame, name: str, value: str, title: str, shown: str = ",.0f") -> alt.LayerChart:
    """Bars from the greatest down, each labelled with its number."""
    base = alt.Chart(rows).encode(
        x=alt.X(f"{value}:Q", title=title, axis=alt.Axis(grid=False, tickCount=4)),
        y=alt.Y(f"{name}:N", sort=None, title=None, axis=alt.Axis(labelLimit=180)),
        tooltip=list(rows.columns),
    )
    numbers = base.mark_text(align="left", dx=4).encode(text=alt.Text(f"{value}:Q", format=shown))
    drawn: alt.LayerChart = (base.mark_bar(color=AMBER, cornerRadiusEnd=3) + numbers).properties(height=380)
    return drawn
