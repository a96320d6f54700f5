"""The analytics dashboard: gold by year and month, on Athena."""

from __future__ import annotations

from datamaster.aws.dashboards.panels import OPTIONS, Json, Layout, asked, athena, by_field, dashboard, link, panel

UID = "dm-analytics"
CHOSEN = "review_year = ${year} AND review_month IN (${month:csv})"
RATED = "round(sum(avg_overall * review_count) / sum(CASE WHEN avg_overall IS NULL THEN 0 ELSE review_count END), 2) AS avg_overall"


def years() -> str:
    """The years that have reviews, newest first."""
    return "SELECT DISTINCT review_year FROM dm_gold.state_by_review_volume ORDER BY review_year DESC"


def months() -> str:
    """The months of the chosen year that have reviews."""
    return "SELECT DISTINCT review_month FROM dm_gold.state_by_review_volume WHERE review_year = ${year} ORDER BY review_month"


def top(table: str, key: str, name: str, columns: str = "", order: str = "avg_overall DESC, review_count DESC", limit: int = 10) -> str:
    """The first of a gold table over the chosen months: months are weighed by their reviews."""
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
    layout = Layout()
    kept = "${__url_time_range}&${year:queryparam}&${month:queryparam}"
    drill = link("This state, month by month", f"/d/{UID}?{kept}&var-state=${{__data.fields.state}}")
    layout.row("In short")
    layout.add(6, 4, panel("stat", "Reviews", [athena(TOTALS)], options=_one("reviews")))
    layout.add(6, 4, panel("stat", "Average rating", [athena(TOTALS)], options=_one("rating"), decimals=2))
    layout.add(12, 4, panel("barchart", "Reviews by month, all years", [athena(BY_MONTH)], options=_bars("month", "vertical")))
    layout.row("Beers and breweries")
    rated = [by_field("avg_overall", custom__cellOptions={"type": "gauge", "mode": "basic"}, min=0, max=5)]
    beers = top("top_beers_by_rating", "beer_id", "beer_name")
    breweries = top("top_breweries_by_rating", "brewery_id", "brewery_name")
    layout.add(
        12, 10, panel("table", "Top 10 beers by rating", [athena(beers)], description="At least 25 reviews in the month.", overrides=rated)
    )
    layout.add(
        12,
        10,
        panel("table", "Top 10 breweries by rating", [athena(breweries)], description="At least 25 reviews in the month.", overrides=rated),
    )
    layout.row("Where")
    layout.add(14, 14, panel("geomap", "Review volume by state", [athena(STATES)], options=MAP, links=[drill]))
    layout.add(
        10,
        14,
        panel("table", "States", [athena(STATES)], links=[drill], description="A click on a state shows its months and drinkers below."),
    )
    layout.row("What and who")
    layout.add(12, 10, panel("barchart", "Popular styles: reviews × rating", [athena(STYLES)], options=_bars("beer_style", "horizontal")))
    drinkers = top("top_drinkers", "profile_id", "profile_name", "state", "review_count DESC")
    layout.add(12, 10, panel("table", "Top drinkers", [athena(drinkers)]))
    layout.row("One state: ${state}")
    layout.add(14, 9, panel("table", "Month by month: ${state}", [athena(STATE_MONTHS)]))
    layout.add(10, 9, panel("table", "Its top drinkers: ${state}", [athena(STATE_DRINKERS)]))
    states = "SELECT coalesce(state, 'unknown') AS state FROM dm_gold.state_by_review_volume GROUP BY state ORDER BY sum(review_count) DESC"
    variables = [asked("year", "Year", years()), asked("month", "Month", months(), several=True), asked("state", "State", states)]
    return dashboard(UID, "Data Master: analytics", "Gold, by year and month of the review.", variables, layout, since="now-1h")


def _one(name: str) -> Json:
    reduce = {"calcs": ["lastNotNull"], "fields": f"/^{name}$/", "values": False}
    return {
        "reduceOptions": reduce,
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "value",
    }


def _bars(field: str, orientation: str) -> Json:
    return OPTIONS["barchart"] | {"orientation": orientation, "xField": field}
