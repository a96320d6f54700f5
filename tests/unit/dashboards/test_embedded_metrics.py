"""Metrics out of log lines, as CloudWatch's format says."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from datamaster.laptop.metrics.embedded import metrics_of
from lake.telemetry import MetricUnit, count


def line(**fields):
    import json

    header = {"Timestamp": 1767225600123, "CloudWatchMetrics": [{"Namespace": "N", "Dimensions": [["b", "a"]], "Metrics": [{"Name": "m"}]}]}
    return json.dumps({"_aws": header, "a": "1", "b": "2", "m": [3, 4.5]} | fields)


def test_what_the_platforms_own_count_writes_is_read_back(capsys, monkeypatch):
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "converter")
    count("ConversionSeconds", 1.5, MetricUnit.Seconds, compute_target="lambda")

    [found] = metrics_of(capsys.readouterr().out)

    assert (found.namespace, found.name, found.values, found.unit) == ("DataMaster", "ConversionSeconds", (1.5,), "Seconds")
    assert dict(found.dimensions)["compute_target"] == "lambda"


def test_every_value_of_a_line_counts_at_the_lines_time():
    [found] = metrics_of(line())

    assert found.values == (3.0, 4.5)
    assert found.at == datetime(2026, 1, 1, 0, 0, 0, 123000, UTC)
    assert found.dimensions == (("a", "1"), ("b", "2"))


@pytest.mark.parametrize("text", ["START RequestId: 1", '{"_aws": 5', '{"x": "\\"_aws\\""}', line(m="four"), line(m=True), line(_aws={})])
def test_a_line_without_metrics_has_none(text):
    assert list(metrics_of(text)) == []
