"""The output of ``dm size``: JSON, or Markdown tables. A test holds docs/scale.md and docs/cost.md to these tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from datamaster.aws.sizing.capacity import Capacity
from datamaster.aws.sizing.cost import DATABASE, SIZES, Cost, alternatives, month, total
from datamaster.aws.sizing.figures import MEASURED, UNVERIFIED, figures, measured_table
from datamaster.aws.sizing.latency import median
from datamaster.aws.sizing.scale import LOADS, ChangeRate, Files, binding, rounded, walk


def scale_document(road: Capacity, loads: Sequence[ChangeRate] = LOADS) -> dict[str, Any]:
    """Every step of every load as data, and the step that limits each load first."""
    found = []
    for load in loads:
        steps = walk(load, road)
        found.append(
            {
                "load": load.name,
                "changes_a_second": load.changes,
                "binds_first": binding(steps).service,
                "steps": [asdict(step) | {"share": step.share} for step in steps],
            }
        )
    return {"environment": road.environment, "settings": asdict(road), "measured": asdict(MEASURED), "loads": found}


def scale_page(road: Capacity, loads: Sequence[ChangeRate] = LOADS) -> str:
    """Tables of the share of each limit that a load takes, and of the remedies for exceeded limits."""
    walks = [(load, walk(load, road)) for load in loads]
    services = list(dict.fromkeys(step.service for _, steps in walks for step in steps))
    rows = []
    for service in services:
        found = {load.name: step for load, steps in walks for step in steps if step.service == service}
        one = next(iter(found.values()))
        shares = [_percent(found[load.name].share) if load.name in found else "–" for load, _ in walks]
        rows.append([service, f"{rounded(one.limit)} {one.unit}", *shares, one.stated])
    first = [
        [
            load.name,
            rounded(load.changes),
            rounded(load.changes * MEASURED.message_bytes / 1_000_000),
            rounded(Files.of(load, road, MEASURED).a_second),
            binding(steps).service,
            _percent(binding(steps).share),
            "; ".join(f"{step.service}: {step.remedy}" for step in steps if step.share > 1) or "nothing",
        ]
        for load, steps in walks
    ]
    head = ["load", "changes/s", "MB/s", "raw files/s", "binds first", "of its limit", "to raise or reshape"]
    shares_of = _table(["service", "limit", *(load.name for load in loads), "limit stated by"], rows)
    return f"{_table(head, first)}\n\n{shares_of}\n\n{_measured()}"


def _measured() -> str:
    rows = [[f"{entry['value']:,}", entry["unit"], entry["from"]] for entry in measured_table().values()]
    return _table(["measured or assumed", "what", "from"], rows)


def cost_document(road: Capacity) -> dict[str, Any]:
    """A month as data, by size."""
    return {
        "environment": road.environment,
        "region": "us-east-1",
        "currency": "USD",
        "median_seconds_to_silver": median(road),
        "months": {
            name: {
                "services": [asdict(cost) | {"verified": cost.verified} for cost in month(size, road)],
                "total": total(month(size, road)),
                "without_database": total(cost for cost in month(size, road) if cost.service != DATABASE),
                "alternatives": {way: total(costs) for way, costs in alternatives(size, road).items()},
            }
            for name, size in SIZES.items()
        },
        "prices": {name: asdict(price) | {"date": price.date and price.date.isoformat()} for name, price in figures("prices").items()},
    }


def cost_page(road: Capacity) -> str:
    """A month as tables: of each environment, then by service, beside the alternatives, with all prices."""
    months = {name: {cost.service: cost for cost in month(size, road)} for name, size in SIZES.items()}
    services = list(dict.fromkeys(service for costs in months.values() for service in costs))
    rows = [
        [service, *(_dollars(costs.get(service)) for costs in months.values()), *_note(service, months.values())] for service in services
    ]
    rows.append(["**all**", *(f"**{total(costs.values()):,.0f}**" for costs in months.values()), "", ""])
    ways = {name: alternatives(size, road) for name, size in SIZES.items()}
    compared = [[way, *(f"{total(found[way]):,.0f}" for found in ways.values())] for way in next(iter(ways.values()))]
    prices = [[price.name, f"{price.value:.10f}".rstrip("0").rstrip("."), price.unit, price.stated] for price in figures("prices").values()]
    tables = [
        _table(["environment", "1 GB, $", "without Aurora", "commit to silver, median"], map(_environment, Capacity.every())),
        _table(["service", *(f"{name}, $" for name in SIZES), "made of", "prices"], rows),
        _table(["way", *(f"{name}, $" for name in SIZES)], compared),
        _table(["price", "$", "a", "stated by"], prices),
    ]
    return "\n\n".join(tables)


def _environment(road: Capacity) -> list[str]:
    costs = month(SIZES["1 GB"], road)
    without = total(cost for cost in costs if cost.service != DATABASE)
    return [road.environment, f"{total(costs):,.0f}", f"{without:,.0f}", f"{median(road) / 60:.0f} min"]


def _note(service: str, months: Iterable[dict[str, Cost]]) -> tuple[str, str]:
    cost = next(costs[service] for costs in reversed(list(months)) if service in costs)
    return cost.of, "stated" if cost.verified else UNVERIFIED


def _dollars(cost: Cost | None) -> str:
    return "–" if cost is None else f"{cost.dollars:,.2f}"


def _percent(share: float) -> str:
    shown = "<1" if 0 < share < 0.01 else f"{100 * share:,.0f}"
    return f"**{shown} %**" if share > 1 else f"{shown} %"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
