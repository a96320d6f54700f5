"""The costs dashboard: the account's Cost and Usage Report (CUR 2.0, AWS Data Exports), through Athena.

https://docs.aws.amazon.com/cur/latest/userguide/table-dictionary-cur2.html
"""

from __future__ import annotations

from datamaster.aws.dashboards.panels import Board, Json, asked, athena, bars, panel

UID = "dm-costs"
TABLE = "dm_costs.cur2"
COST = "line_item_unblended_cost"
CHOSEN = "billing_period IN (${period:singlequote})"
STACK = "coalesce(element_at(resource_tags, 'aws_cloudformation_stack_name'), 'untagged')"
DAY = "date_format(date_trunc('day', line_item_usage_start_date), '%Y-%m-%d')"

PERIODS = f"SELECT DISTINCT billing_period FROM {TABLE} ORDER BY billing_period DESC"
TOTAL = f"SELECT round(sum({COST}), 2) AS cost FROM {TABLE} WHERE {CHOSEN}"
BY_SERVICE = (
    f"SELECT billing_period, line_item_product_code AS service, round(sum({COST}), 2) AS cost\nFROM {TABLE}\n"
    "GROUP BY billing_period, line_item_product_code\nORDER BY billing_period DESC, cost DESC"
)
BY_STACK = (
    f"SELECT billing_period, {STACK} AS stack, round(sum({COST}), 2) AS cost\nFROM {TABLE}\n"
    f"GROUP BY billing_period, {STACK}\nORDER BY billing_period DESC, cost DESC"
)
BY_ITEM = (
    f"SELECT line_item_product_code AS service, line_item_line_item_type AS item_type, line_item_usage_type AS usage_type, "
    f"round(sum(line_item_usage_amount), 2) AS amount, round(sum({COST}), 2) AS cost\nFROM {TABLE}\nWHERE {CHOSEN}\n"
    "GROUP BY line_item_product_code, line_item_line_item_type, line_item_usage_type\nORDER BY cost DESC\nLIMIT 100"
)
DAILY = f"SELECT {DAY} AS day, round(sum({COST}), 4) AS cost\nFROM {TABLE}\nWHERE {CHOSEN}\nGROUP BY {DAY}\nORDER BY day"
DAILY_BY_SERVICE = (
    f"SELECT {DAY} AS day, line_item_product_code AS service, round(sum({COST}), 4) AS cost\nFROM {TABLE}\nWHERE {CHOSEN}\n"
    f"GROUP BY {DAY}, line_item_product_code\nORDER BY day, cost DESC"
)
CUMULATIVE = (
    f"WITH days AS (\n    SELECT billing_period, {DAY} AS day, sum({COST}) AS cost\n    FROM {TABLE}\n    WHERE {CHOSEN}\n"
    f"    GROUP BY billing_period, {DAY}\n)\n"
    "SELECT day, round(sum(cost) OVER (PARTITION BY billing_period ORDER BY day), 2) AS cost_so_far\nFROM days\nORDER BY day"
)
GROWTH = (
    f"WITH months AS (\n    SELECT billing_period, sum({COST}) AS cost FROM {TABLE} GROUP BY billing_period\n)\n"
    "SELECT billing_period, round(cost, 2) AS cost, round(cost - lag(cost) OVER (ORDER BY billing_period), 2) AS more_than_before\n"
    "FROM months\nORDER BY billing_period DESC"
)
DOLLARS = "currencyUSD"


def costs() -> Json:
    """The dashboard's JSON."""
    periods = [asked("period", "Month", PERIODS, several=True)]
    board = Board(UID, "Data Master: costs", "The account's cost and usage report.", periods, since="now-30d")
    board.row("In short")
    board.add(6, 5, panel("stat", "Cost of the chosen months", [athena(TOTAL)], unit=DOLLARS))
    board.add(18, 5, panel("table", "Month against month", [athena(GROWTH)], unit=DOLLARS))
    board.row("By month")
    board.add(12, 10, panel("table", "Monthly cost by service", [athena(BY_SERVICE)], unit=DOLLARS))
    board.add(
        12,
        10,
        panel(
            "table", "Monthly cost by stack", [athena(BY_STACK)], unit=DOLLARS, description="The tag that CloudFormation sets by itself."
        ),
    )
    board.row("By day")
    board.add(12, 9, panel("barchart", "Daily cost", [athena(DAILY)], unit=DOLLARS, options=bars("day")))
    board.add(12, 9, panel("barchart", "Cumulative cost of the month", [athena(CUMULATIVE)], unit=DOLLARS, options=bars("day")))
    board.add(24, 10, panel("table", "Daily cost by service", [athena(DAILY_BY_SERVICE)], unit=DOLLARS))
    board.row("In detail")
    board.add(24, 12, panel("table", "Detail by item type", [athena(BY_ITEM)]))
    return board.json()
