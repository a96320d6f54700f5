"""A dashboard's queries as Grafana sends them, with variables replaced, and their answers from Athena and CloudWatch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from datamaster.aws.dashboards.panels import ATHENA, CLOUDWATCH, Json
from datamaster.platform.query import Athena
from lake.errors import TerminalError

VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}|\$(\w+)")
EVERY = "*"
PERIOD_SECONDS = 60
METRICS_OF_A_REQUEST = 500

Values = Mapping[str, Sequence[str]]


class UnknownVariable(TerminalError):
    """A query names a variable that its dashboard does not have."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f'variable "{name}" is not one of the dashboard\'s: {", ".join(sorted(known)) or "it has none"}')


@dataclass(frozen=True)
class Query:
    """One target of one panel. ``target`` is Grafana's JSON with variables replaced."""

    dashboard: str
    panel: str
    ref: str
    target: Json

    @property
    def kind(self) -> str:
        """The type of its data source."""
        return str(self.target["datasource"]["type"])


def panels(dashboard: Json) -> Iterator[Json]:
    """Every panel except rows."""
    for panel in dashboard["panels"]:
        yield from (inner for inner in panel.get("panels", ()))
        if panel["type"] != "row":
            yield panel


def queries(dashboard: Json, values: Values) -> Iterator[Query]:
    """Every target of every panel with variables replaced. Raises ``UnknownVariable``."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            filled: Json = _filled(target, values)
            yield Query(dashboard["uid"], put_in(panel["title"], values), target["refId"], filled)


def put_in(text: str, values: Values) -> str:
    """Replace the variables of a text. Grafana's built-in variables stay.

    The forms are ``$name``, ``${name}``, ``${name:csv}`` and ``${name:singlequote}``.
    https://grafana.com/docs/grafana/latest/dashboards/variables/variable-syntax/
    """

    def value(match: re.Match[str]) -> str:
        name, form = match[1] or match[3], match[2]
        if name.startswith("__"):
            return match[0]
        if name not in values:
            raise UnknownVariable(name, values)
        if form == "singlequote":
            return ",".join("'" + each.replace("'", "\\'") + "'" for each in values[name])
        return ",".join(values[name])

    return VARIABLE.sub(value, text.replace("${PROP(", "\0")).replace("\0", "${PROP(")


def resolved(dashboard: Json, athena: Athena, given: Mapping[str, str] | None = None) -> dict[str, list[str]]:
    """The initial values of a dashboard's variables. ``given`` replaces some of them."""
    values: dict[str, list[str]] = {}
    for variable in dashboard["templating"]["list"]:
        name = variable["name"]
        if given and name in given:
            values[name] = [given[name]]
        elif variable["type"] == "query":
            rows = athena.run(put_in(variable["query"]["rawSQL"], values)).rows
            found = [row[0] for row in rows if row[0] is not None]
            values[name] = found if variable["multi"] else found[:1]
        else:
            values[name] = [variable["current"]["value"]]
    return values


def answer(query: Query, athena: Athena, cloudwatch: Any, since: timedelta) -> int:
    """The number of rows or points that a query returns. Raises ``QueryFailed`` with Athena's reason."""
    if query.kind == ATHENA["type"]:
        return len(athena.run(query.target["rawSQL"]).rows)
    if query.kind == CLOUDWATCH["type"]:
        return sum(len(series) for series in metric_values(query.target, cloudwatch, since).values())
    raise ValueError(f"{query.dashboard}, {query.panel}: no source of type {query.kind}")


def metric_values(target: Json, cloudwatch: Any, since: timedelta) -> dict[str, list[float]]:
    """The series of a CloudWatch target, by the values of its dimensions. ``*`` matches every value."""
    wanted = {name: values[0] for name, values in target["dimensions"].items()}
    named = [{"Name": name, **({} if value == EVERY else {"Value": value})} for name, value in wanted.items()]
    pages = cloudwatch.get_paginator("list_metrics").paginate(
        Namespace=target["namespace"], MetricName=target["metricName"], Dimensions=named
    )
    found = [tuple((d["Name"], d["Value"]) for d in metric["Dimensions"]) for page in pages for metric in page["Metrics"]]
    exact = [dimensions for dimensions in found if {name for name, _ in dimensions} == set(wanted)][:METRICS_OF_A_REQUEST]
    if not exact:
        return {}
    now = datetime.now(UTC)
    asked = [
        {
            "Id": f"m{place}",
            "MetricStat": {
                "Metric": {
                    "Namespace": target["namespace"],
                    "MetricName": target["metricName"],
                    "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions],
                },
                "Period": PERIOD_SECONDS,
                "Stat": target["statistic"],
            },
        }
        for place, dimensions in enumerate(exact)
    ]
    answers = cloudwatch.get_metric_data(MetricDataQueries=asked, StartTime=now - since, EndTime=now + timedelta(seconds=1))
    series = {result["Id"]: result["Values"] for result in answers["MetricDataResults"]}
    return {" ".join(value for _, value in dimensions): series[f"m{place}"] for place, dimensions in enumerate(exact)}


def _filled(value: Any, values: Values) -> Any:
    if isinstance(value, str):
        return put_in(value, values)
    if isinstance(value, Mapping):
        return {name: _filled(inner, values) for name, inner in value.items()}
    return [_filled(inner, values) for inner in value] if isinstance(value, list) else value
