"""Grafana's JSON, as far as these dashboards use it: panels, rows, variables, and targets of Athena and CloudWatch.

https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

ATHENA = {"type": "grafana-athena-datasource", "uid": "dm-athena"}
CLOUDWATCH = {"type": "cloudwatch", "uid": "dm-cloudwatch"}
SCHEMA_VERSION = 39
WIDTH = 24
TABLE_FORMAT = 1
GREEN, YELLOW, RED = "green", "yellow", "red"

Json = dict[str, Any]


def athena(sql: str, ref: str = "A") -> Json:
    """A target that asks Athena; the answer is a table."""
    default = "__default"
    place = {"catalog": default, "database": default, "region": default}
    return {"refId": ref, "datasource": ATHENA, "connectionArgs": place, "format": TABLE_FORMAT, "rawSQL": sql}


def metric(
    namespace: str, name: str, dimensions: Mapping[str, str], statistic: str = "Sum", *, label: str = "", ref: str = "A", period: str = ""
) -> Json:
    """A target that asks CloudWatch for one metric; a dimension's ``*`` stands for all its values, a series each."""
    shown = label or " ".join(f"${{PROP('Dim.{key}')}}" for key, value in dimensions.items() if value == "*") or name
    return {
        "refId": ref,
        "id": "",
        "datasource": CLOUDWATCH,
        "queryMode": "Metrics",
        "metricQueryType": 0,
        "metricEditorMode": 0,
        "namespace": namespace,
        "metricName": name,
        "dimensions": {key: [value] for key, value in dimensions.items()},
        "matchExact": True,
        "statistic": statistic,
        "period": period,
        "region": "$region",
        "label": shown,
        "expression": "",
    }


def together(*targets: Json) -> list[Json]:
    """Several targets of one panel, lettered in order."""
    return [{**target, "refId": chr(ord("A") + place)} for place, target in enumerate(targets)]


def thresholds(*steps: tuple[str, float | None]) -> Json:
    """Colours from a value on; the first has none: it is the colour below the others."""
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for color, value in steps]}


def panel(
    kind: str,
    title: str,
    targets: Iterable[Json],
    *,
    description: str = "",
    unit: str = "short",
    limits: Json | None = None,
    options: Json | None = None,
    custom: Json | None = None,
    overrides: Iterable[Json] = (),
    links: Iterable[Json] = (),
    decimals: int | None = None,
) -> Json:
    """A panel without its place."""
    listed = list(targets)
    defaults: Json = {"unit": unit, "color": {"mode": "thresholds" if limits else "palette-classic"}, "custom": custom or {}}
    defaults["thresholds"] = limits or thresholds((GREEN, None))
    if links:
        defaults["links"] = list(links)
    if decimals is not None:
        defaults["decimals"] = decimals
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": listed[0]["datasource"],
        "targets": listed,
        "fieldConfig": {"defaults": defaults, "overrides": list(overrides)},
        "options": options or OPTIONS.get(kind, {}),
        "transparent": False,
    }


_REDUCE = {"calcs": ["lastNotNull"], "fields": "", "values": False}
OPTIONS: dict[str, Json] = {
    "stat": {
        "reduceOptions": _REDUCE,
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto",
    },
    "bargauge": {"reduceOptions": _REDUCE, "displayMode": "gradient", "orientation": "horizontal", "showUnfilled": True},
    "table": {"showHeader": True, "cellHeight": "sm"},
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "barchart": {
        "orientation": "horizontal",
        "xTickLabelRotation": 0,
        "xTickLabelSpacing": 0,
        "showValue": "auto",
        "stacking": "none",
        "groupWidth": 0.7,
        "barWidth": 0.9,
        "barRadius": 0.1,
        "fullHighlight": False,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "single", "sort": "none"},
    },
}


def by_field(name: str, **properties: Any) -> Json:
    """What holds for one column only; a property's dots are written as double underscores."""
    changed = [{"id": key.replace("__", "."), "value": value} for key, value in properties.items()]
    return {"matcher": {"id": "byName", "options": name}, "properties": changed}


def link(title: str, url: str) -> Json:
    """A link from a value to another view."""
    return {"title": title, "url": url, "targetBlank": False}


@dataclass
class Layout:
    """Places panels from left to right and top to bottom, in rows of 24 columns."""

    panels: list[Json] = field(default_factory=list)
    x: int = 0
    y: int = 0
    height: int = 0

    def row(self, title: str, collapsed: bool = False) -> None:
        """Begin a titled row."""
        self._break()
        place = {"h": 1, "w": WIDTH, "x": 0, "y": self.y}
        self.panels.append(
            {"type": "row", "title": title, "collapsed": collapsed, "panels": [], "gridPos": place, "id": len(self.panels) + 1}
        )
        self.y += 1

    def add(self, width: int, height: int, placed: Json) -> None:
        """Put a panel to the right of the last one, or below where it does not fit."""
        if self.x + width > WIDTH:
            self._break()
        place = {"h": height, "w": width, "x": self.x, "y": self.y}
        self.panels.append({**placed, "id": len(self.panels) + 1, "gridPos": place})
        self.x, self.height = self.x + width, max(self.height, height)

    def _break(self) -> None:
        self.x, self.y, self.height = 0, self.y + self.height, 0


def chosen(name: str, label: str, values: Iterable[str], hide: int = 0) -> Json:
    """A variable with fixed values, the first one set."""
    listed = list(values)
    options = [{"text": value, "value": value, "selected": place == 0} for place, value in enumerate(listed)]
    current = {"text": listed[0], "value": listed[0]}
    return {"type": "custom", "name": name, "label": label, "query": ",".join(listed), "options": options, "current": current, "hide": hide}


def asked(name: str, label: str, sql: str, *, several: bool = False) -> Json:
    """A variable whose values Athena gives, the first row first."""
    current = {"text": ["All"], "value": ["$__all"]} if several else {}
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": ATHENA,
        "query": athena(sql),
        "refresh": 1,
        "sort": 0,
        "multi": several,
        "includeAll": several,
        "current": current,
        "options": [],
        "hide": 0,
    }


def dashboard(
    uid: str,
    title: str,
    description: str,
    variables: Iterable[Json],
    layout: Layout,
    *,
    since: str,
    refresh: str = "",
    links: Iterable[Json] = (),
) -> Json:
    """A whole dashboard. ``since`` is where its time begins, e.g. ``now-6h``."""
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["data-master"],
        "editable": True,
        "graphTooltip": 1,
        "timezone": "utc",
        "schemaVersion": SCHEMA_VERSION,
        "time": {"from": since, "to": "now"},
        "refresh": refresh,
        "templating": {"list": list(variables)},
        "annotations": {"list": []},
        "links": list(links),
        "panels": layout.panels,
    }
