"""Grafana's published model (grafana-foundation-sdk) as a judge: what of a dashboard Grafana would drop or change."""

from __future__ import annotations

import json

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.athena import Dataquery
from grafana_foundation_sdk.models.cloudwatch import CloudWatchMetricsQuery
from grafana_foundation_sdk.models.dashboard import Dashboard

from datamaster.aws.dashboards.panels import ATHENA, CLOUDWATCH
from datamaster.aws.dashboards.queries import panels

TARGETS = {ATHENA["type"]: Dataquery, CLOUDWATCH["type"]: CloudWatchMetricsQuery}
EMPTY = (None, "", [], {}, False, 0)
register_default_plugins()


def lost_of_dashboard(dashboard):
    """Paths of a dashboard that the model does not give back as they were."""
    return _lost(_kept(Dashboard, dashboard), dashboard, "")


def lost_of_targets(dashboard):
    """Paths of its targets that their data source's model does not give back, each after its panel's title."""
    return [
        f"{panel['title']}: {path}"
        for panel in panels(dashboard)
        for target in panel["targets"]
        for path in _lost(_kept(TARGETS[target["datasource"]["type"]], target), target, "")
    ]


def _kept(model, given):
    return json.loads(json.dumps(model.from_json(given), cls=JSONEncoder, sort_keys=True))


def _lost(kept, given, place):
    if isinstance(given, dict) and isinstance(kept, dict):
        return [path for name in given for path in _lost(kept.get(name), given[name], f"{place}.{name}")]
    if isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        return [path for number, (a, b) in enumerate(zip(kept, given, strict=True)) for path in _lost(a, b, f"{place}[{number}]")]
    return [] if kept == given or (given in EMPTY and kept in EMPTY) else [f"{place}: {given!r} became {kept!r}"]
