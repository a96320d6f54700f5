"""Logger and metrics of every function.

Chalice's middleware: https://aws.github.io/chalice/topics/middleware.html. ``ConvertToMiddleware`` adapts powertools'
decorators to it.
"""

from __future__ import annotations

import warnings
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

NAMESPACE = "DataMaster"

logger = Logger()
metrics = Metrics(namespace=NAMESPACE)

__all__ = ["MetricUnit", "count", "logger", "metrics", "observe"]


def observe(app: Any) -> None:
    """Give every function of a Chalice app a logger with the request's ids. Its metrics are flushed when it returns."""
    from chalice.app import ConvertToMiddleware

    # a call without metrics is not a fault
    warnings.filterwarnings("ignore", "No application metrics to publish*")
    app.register_middleware(ConvertToMiddleware(logger.inject_lambda_context(clear_state=True)), event_type="all")
    app.register_middleware(ConvertToMiddleware(metrics.log_metrics), event_type="all")


def count(name: str, value: float = 1, unit: MetricUnit = MetricUnit.Count, **dimensions: str) -> None:
    """Emit one metric value with the given dimensions (CloudWatch embedded metric format, on the log)."""
    if not dimensions:
        metrics.add_metric(name=name, unit=unit, value=value)
        return
    from aws_lambda_powertools import single_metric

    with single_metric(name=name, unit=unit, value=value, namespace=NAMESPACE) as metric:
        for key, text in dimensions.items():
            metric.add_dimension(name=key, value=text)
