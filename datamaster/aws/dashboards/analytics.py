"""The analytics dashboard: gold by year and month, through Athena."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as grafana
from grafana_foundation_sdk.models import common, stat
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from datamaster.aws.dashboards.panels import Board, Json, asked, athena, bars, panel

UID = "dm-analytics"
ENOUGH = "At least 25 reviews in the month."
CHOSEN = "review_year = ${year} AND review_month IN (${month:csv})"
RATED = "round(sum(avg_overall * review_count) / sum(CASE WHEN avg_overall IS NULL THEN 0 ELSE review_count END), 2) AS avg_overall"


def years() -> str:
    """A query for the years with reviews, newest first."""
    return "SELECT DISTINCT review_year FROM dm_gold.state_by_review_volume ORDER BY review_year DESC"


def months() -> str:
    """A query for the months with reviews in the chosen year."""
    return "SELECT DISTINCT review_month FROM dm_gold.state_by_review_volume WHERE review_year = ${year} ORDER BY review_month"


def top(table: str, key: str, name: str, columns: str = "", order: str = "avg_overall DESC, review_count DESC", limit: int = 10) -> str:
    """A query for the first rows of a gold table over the chosen months. A month's weight is its number of reviews."""
    more = f", {columns}" if columns else ""
    return (
        f"SELECT {key}, {name}{more}, sum(review_count) AS review_count, {RATED}\n"
        f"FROM dm_gold.{table}\nWHERE {CHOSEN}\nGROUP BY {key}, {name}{more}\nORDER BY {order}, {key}\nLIMIT {limit}"
    )


STYLES = (
    "SELECT coalesce(beer_style, 'unknown') AS beer_style, sum(review_count) AS review_count, "
    f"{RATED}, round(sum(popularity), 2) AS popularity\n"
    f"FROM dm_gold.top_styles_by_popularity\nWHERE {CHOSEN}\nGROUP BY beer_style\nORDER BY popularity DESC, beer_style\nLIMIT 15"
)
STATES = (
    "SELECT coalesce(state, 'unknown') AS state, sum(review_count) AS review_count, "
    f"{RATED}\nFROM dm_gold.state_by_review_volume\nWHERE {CHOSEN}\nGROUP BY state\nORDER BY review_count DESC, state"
)
TOTALS = (
    "SELECT sum(review_count) AS reviews, round(sum(avg_overall * review_count) / sum(review_count), 2) AS rating, "
    f"count(DISTINCT state) AS states\nFROM dm_gold.state_by_review_volume\nWHERE {CHOSEN}"
)
BY_MONTH = (
    "SELECT date_format(date_add('month', review_month - 1, date_add('year', review_year - 1970, date '1970-01-01')), '%Y-%m') AS month, "
    "sum(review_count) AS reviews\nFROM dm_gold.state_by_review_volume\nGROUP BY review_year, review_month\nORDER BY month"
)
STATE_MONTHS = (
    "SELECT review_year, review_month, rank, review_count, avg_overall\nFROM dm_gold.state_by_review_volume\n"
    "WHERE coalesce(state, 'unknown') = '${state}'\nORDER BY review_year DESC, review_month DESC\nLIMIT 120"
)
STATE_DRINKERS = (
    "SELECT profile_id, profile_name, sum(review_count) AS review_count\nFROM dm_gold.top_drinkers\n"
    f"WHERE {CHOSEN} AND coalesce(state, 'unknown') = '${{state}}'\nGROUP BY profile_id, profile_name\n"
    "ORDER BY review_count DESC, profile_id\nLIMIT 10"
)
MAP = {
    "view": {"id": "coords", "lat": 39.0, "lon": -97.0, "zoom": 3.6, "allLayers": True},
    "basemap": {"type": "default", "name": "Base", "config": {}},
    "controls": {
        "showZoom": True,
        "mouseWheelZoom": False,
        "showAttribution": True,
        "showScale": False,
        "showMeasure": False,
        "showDebug": False,
    },
    "tooltip": {"mode": "details"},
    "layers": [
        {
            "type": "markers",
            "name": "Reviews",
            "location": {"mode": "lookup", "lookup": "state", "gazetteer": "public/gazetteer/usa-states.json"},
            "config": {
                "showLegend": True,
                "style": {
                    "size": {"field": "review_count", "fixed": 5, "min": 6, "max": 34},
                    "color": {"field": "avg_overall", "fixed": "dark-green"},
                    "opacity": 0.6,
                    "symbol": {"mode": "fixed", "fixed": "img/icons/marker/circle.svg"},
                },
            },
            "tooltip": True,
        }
    ],
}


def analytics() -> Json:
    """The dashboard's JSON."""
    by_volume = (
        "SELECT coalesce(state, 'unknown') AS state FROM dm_gold.state_by_review_volume GROUP BY state ORDER BY sum(review_count) DESC"
    )
    variables = [asked("year", "Year", years()), asked("month", "Month", months(), several=True), asked("state", "State", by_volume)]
    board = Board(UID, "Data Master: analytics", "Gold, by year and month of the review.", variables, since="now-1h")
    kept = "${__url_time_range}&${year:queryparam}&${month:queryparam}"
    drill = grafana.DashboardLink("This state, month by month").url(f"/d/{UID}?{kept}&var-state=${{__data.fields.state}}")
    board.row("In short")
    board.add(6, 4, panel("stat", "Reviews", [athena(TOTALS)], options=_one("reviews")))
    board.add(6, 4, panel("stat", "Average rating", [athena(TOTALS)], options=_one("rating")).decimals(2))
    board.add(12, 4, panel("barchart", "Reviews by month, all years", [athena(BY_MONTH)], options=bars("month")))
    board.row("Beers and breweries")
    gauge = {"custom.cellOptions": {"type": "gauge", "mode": "basic"}, "min": 0, "max": 5}
    rated = [DynamicConfigValue(name, value) for name, value in gauge.items()]
    for what, key, name in (("beers", "beer_id", "beer_name"), ("breweries", "brewery_id", "brewery_name")):
        best = panel("table", f"Top 10 {what} by rating", [athena(top(f"top_{what}_by_rating", key, name))], description=ENOUGH)
        board.add(12, 10, best.override_by_name("avg_overall", rated))
    board.row("Where")
    board.add(14, 14, panel("geomap", "Review volume by state", [athena(STATES)], options=MAP).data_links([drill]))
    states = panel("table", "States", [athena(STATES)], description="A click on a state shows its months and drinkers below.")
    board.add(10, 14, states.data_links([drill]))
    board.row("What and who")
    options = bars("beer_style", common.VizOrientation.HORIZONTAL)
    board.add(12, 10, panel("barchart", "Popular styles: reviews × rating", [athena(STYLES)], options=options))
    drinkers = top("top_drinkers", "profile_id", "profile_name", "state", "review_count DESC")
    board.add(12, 10, panel("table", "Top drinkers", [athena(drinkers)]))
    board.row("One state: ${state}")
    board.add(14, 9, panel("table", "Month by month: ${state}", [athena(STATE_MONTHS)]))
    board.add(10, 9, panel("table", "Its top drinkers: ${state}", [athena(STATE_DRINKERS)]))
    return board.json()


def _one(name: str) -> stat.Options:
    reduce = common.ReduceDataOptions(calcs=["lastNotNull"], fields=f"/^{name}$/", values=False)
    return stat.Options(reduce_options=reduce, graph_mode=common.BigValueGraphMode.NONE, text_mode=common.BigValueTextMode.VALUE)
