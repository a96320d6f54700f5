"""CloudWatch's embedded metric format: a log line that carries metrics.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

MARK = '"_aws"'


@dataclass(frozen=True)
class Datum:
    """Values of one metric at one time."""

    namespace: str
    name: str
    values: tuple[float, ...]
    unit: str
    dimensions: tuple[tuple[str, str], ...]
    at: datetime

    def request(self) -> dict[str, Any]:
        """As PutMetricData takes it."""
        return {
            "MetricName": self.name,
            "Values": list(self.values),
            "Unit": self.unit,
            "Dimensions": [{"Name": name, "Value": value} for name, value in self.dimensions],
            "Timestamp": self.at,
        }


def metrics_of(line: str) -> Iterator[Datum]:
    """The metrics in a log line. None for another kind of line, or for content that CloudWatch ignores."""
    if MARK not in line:
        return
    try:
        document = orjson.loads(line[line.index("{") :])
    except (orjson.JSONDecodeError, ValueError):
        return
    header = document.get("_aws") if isinstance(document, dict) else None
    if not isinstance(header, Mapping) or not isinstance(header.get("Timestamp"), int):
        return
    at = datetime.fromtimestamp(header["Timestamp"] / 1000, UTC)
    for directive in header.get("CloudWatchMetrics", ()):
        for names in directive["Dimensions"]:
            dimensions = tuple(sorted((name, str(document[name])) for name in names if name in document))
            for metric in directive["Metrics"]:
                values = _numbers(document.get(metric["Name"]))
                if values:
                    yield Datum(directive["Namespace"], metric["Name"], values, metric.get("Unit", "None"), dimensions, at)


def _numbers(value: Any) -> tuple[float, ...]:
    found = value if isinstance(value, list) else [value]
    return tuple(float(number) for number in found if isinstance(number, int | float) and not isinstance(number, bool))
