"""A deployed alarm's condition, evaluated immediately. CloudWatch itself evaluates it once a period."""

from __future__ import annotations

import operator
from datetime import UTC, datetime, timedelta
from typing import Any

from datamaster.aws.dashboards.alarms import BELOW


def breached(client: Any, alarm: str) -> bool | None:
    """Whether the condition holds now, over the alarm's own periods. None if there is no data and the alarm ignores that."""
    [described] = client.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    period, periods = described["Period"], described["EvaluationPeriods"]
    end = datetime.now(UTC) + timedelta(seconds=1)
    answer = client.get_metric_data(
        MetricDataQueries=[
            {
                "Id": "m",
                "MetricStat": {
                    "Metric": {key: described[key] for key in ("Namespace", "MetricName", "Dimensions")},
                    "Period": period,
                    "Stat": described["Statistic"],
                },
            }
        ],
        StartTime=end - timedelta(seconds=period * (periods + 2)),
        EndTime=end,
        ScanBy="TimestampAscending",
    )
    values = answer["MetricDataResults"][0]["Values"][-periods:]
    if not values:
        return True if described.get("TreatMissingData") == "breaching" else None
    beyond = operator.lt if described["ComparisonOperator"] == BELOW else operator.gt
    return all(beyond(value, described["Threshold"]) for value in values)
