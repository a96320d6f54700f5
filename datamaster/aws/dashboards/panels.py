"""The panels, variables and targets of these dashboards, made by Grafana's own builders.

https://grafana.com/docs/grafana/latest/observability-as-code/foundation-sdk/
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from grafana_foundation_sdk.builders import athena as athena_builders
from grafana_foundation_sdk.builders import cloudwatch
from grafana_foundation_sdk.builders import dashboard as grafana
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import barchart, bargauge, common, stat, table, timeseries
from grafana_foundation_sdk.models.athena import FormatOptions
from grafana_foundation_sdk.models.cloudwatch import CloudWatchQueryMode, MetricEditorMode, MetricQueryType
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    VariableHide,
    VariableOption,
    VariableRefresh,
)

Json = dict[str, Any]
Target = athena_builders.Dataquery | cloudwatch.CloudWatchMetricsQuery

ATHENA = {"type": "grafana-athena-datasource", "uid": "dm-athena"}
CLOUDWATCH = {"type": "cloudwatch", "uid": "dm-cloudwatch"}
_ATHENA, _CLOUDWATCH = DataSourceRef.from_json(ATHENA), DataSourceRef.from_json(CLOUDWATCH)
SCHEMA_VERSION = 39
GREEN, YELLOW, RED = "green", "yellow", "red"

LAST = common.ReduceDataOptions(calcs=["lastNotNull"], fields="", values=False)
LEGEND = common.VizLegendOptions(
    display_mode=common.LegendDisplayMode.LIST, placement=common.LegendPlacement.BOTTOM, show_legend=True, calcs=[]
)
OPTIONS: Mapping[str, object] = {
    "stat": stat.Options(reduce_options=LAST),
    "bargauge": bargauge.Options(reduce_options=LAST, orientation=common.VizOrientation.HORIZONTAL),
    "table": table.Options(cell_height=common.TableCellHeight.SM),
    "timeseries": timeseries.Options(
        legend=LEGEND, tooltip=common.VizTooltipOptions(mode=common.TooltipDisplayMode.MULTI, sort=common.SortOrder.DESCENDING)
    ),
}


def athena(sql: str) -> athena_builders.Dataquery:
    """An Athena query as a target. Its result is a table."""
    default = "__default"
    place = athena_builders.ConnectionArgs().catalog(default).database(default).region(default)
    return athena_builders.Dataquery().datasource(_ATHENA).connection_args(place).format(FormatOptions.TABLE).raw_sql(sql)


def metric(
    namespace: str, name: str, dimensions: Mapping[str, str], statistic: str = "Sum", *, label: str = ""
) -> cloudwatch.CloudWatchMetricsQuery:
    """One CloudWatch metric as a target. A dimension's ``*`` matches all its values and gives a series for each."""
    shown = label or " ".join(f"${{PROP('Dim.{key}')}}" for key, value in dimensions.items() if value == "*") or name
    asked = cloudwatch.CloudWatchMetricsQuery().datasource(_CLOUDWATCH).region("$region").id("").expression("").period("").match_exact(True)
    asked.query_mode(CloudWatchQueryMode.METRICS).metric_query_type(MetricQueryType.SEARCH).metric_editor_mode(MetricEditorMode.BUILDER)
    asked.namespace(namespace).metric_name(name).dimensions({key: [value] for key, value in dimensions.items()})
    return asked.statistic(statistic).label(shown)


def thresholds(*steps: tuple[str, float | None]) -> grafana.ThresholdsConfig:
    """Colours by value. Each applies from its value on. The first has no value and applies below the others."""
    return grafana.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps([Threshold(value, color) for color, value in steps])


def panel(
    kind: str,
    title: str,
    targets: Iterable[Target],
    *,
    description: str = "",
    unit: str = "short",
    limits: grafana.ThresholdsConfig | None = None,
    options: object = None,
    custom: object = None,
) -> grafana.Panel:
    """A panel without its position. Its targets are lettered in order."""
    color = FieldColorModeId.THRESHOLDS if limits else FieldColorModeId.PALETTE_CLASSIC
    made = grafana.Panel().type(kind).title(title).description(description).transparent(False).options(options or OPTIONS[kind])
    made.unit(unit).color_scheme(grafana.FieldColor().mode(color)).thresholds(limits or thresholds((GREEN, None))).custom(custom or {})
    for place, target in enumerate(targets):
        made.with_target(target.ref_id(chr(ord("A") + place)))
        made.datasource(_ATHENA if isinstance(target, athena_builders.Dataquery) else _CLOUDWATCH)
    return made


def bars(field: str, orientation: common.VizOrientation = common.VizOrientation.VERTICAL) -> barchart.Options:
    """Options of a bar chart with a bar for each value of ``field``."""
    return barchart.Options(
        x_field=field,
        orientation=orientation,
        stacking=common.StackingMode.NONE,
        show_value=common.VisibilityMode.AUTO,
        group_width=0.7,
        bar_width=0.9,
        bar_radius=0.1,
        legend=LEGEND,
        tooltip=common.VizTooltipOptions(mode=common.TooltipDisplayMode.SINGLE, sort=common.SortOrder.NONE),
    )


def chosen(name: str, label: str, values: Iterable[str], hide: VariableHide = VariableHide.DONT_HIDE) -> grafana.CustomVariable:
    """A variable with fixed values, the first one set."""
    options = [VariableOption(selected=place == 0, text=value, value=value) for place, value in enumerate(values)]
    made = grafana.CustomVariable(name).label(label).hide(hide).options(options).values(",".join(str(each.value) for each in options))
    return made.current(VariableOption(text=options[0].text, value=options[0].value))


def asked(name: str, label: str, sql: str, *, several: bool = False) -> grafana.QueryVariable:
    """A variable whose values Athena gives, the first row first."""
    made = grafana.QueryVariable(name).label(label).datasource(_ATHENA).refresh(VariableRefresh.ON_DASHBOARD_LOAD)
    made.query(athena(sql).ref_id("A").build().to_json()).multi(several).include_all(several)
    return made.current(VariableOption(text=["All"], value=["$__all"])) if several else made


class Board(grafana.Dashboard):
    """A dashboard of this project. ``since`` is the start of its time range, for example ``now-6h``."""

    def __init__(self, uid: str, title: str, description: str, variables: Iterable[Any], *, since: str, refresh: str = "") -> None:
        super().__init__(title)
        self.uid(uid).description(description).tags(["data-master"]).editable().timezone("utc").tooltip(DashboardCursorSync.CROSSHAIR)
        self.time(since, "now").refresh(refresh).variables(list(variables)).annotations([]).links([])

    def row(self, title: str) -> None:
        """Begin a titled row."""
        self.with_row(grafana.Row(title))

    def add(self, width: int, height: int, placed: grafana.Panel) -> None:
        """Add a panel to the right of the last one. A row has 24 columns."""
        self.with_panel(placed.span(width).height(height))

    def json(self) -> Json:
        """The dashboard as Grafana stores it, its panels numbered in order."""
        made: Json = json.loads(json.dumps(self.build(), cls=JSONEncoder))
        numbered = [{**placed, "id": number} for number, placed in enumerate(made["panels"], 1)]
        return made | {"schemaVersion": SCHEMA_VERSION, "panels": numbered}
