"""The waits of a change between its commit and silver, by the settings. What no setting decides is named as an assumption."""

from __future__ import annotations

from dataclasses import dataclass

from datamaster.aws.sizing.capacity import Capacity


@dataclass(frozen=True)
class Wait:
    """A stage's seconds, evenly spread from ``low`` to ``high``. ``source`` is the setting or the assumption."""

    stage: str
    what: str
    low: float
    high: float
    source: str


def waits(road: Capacity) -> list[Wait]:
    """The waits of a change on AWS, in the order of the stages."""
    buffer, schedule, file = float(road.buffer_seconds), float(road.silver_seconds), f"environments/{road.environment}.yaml"
    return [
        Wait("stream", "DMS reads the log, sends to Kinesis", 0.5, 3.0, "assumption: DMS batches changes for a second or two"),
        Wait("raw", "transform buffer", 0.0, float(road.transform_seconds), "streaming-delivery.yaml, BufferIntervalInSeconds"),
        Wait("raw", "object buffer", 0.0, buffer, f"{file}, buffer_seconds {buffer:.0f}: a change waits for the rest of it"),
        Wait("raw", "partitioning", 0.0, buffer / 2, "AWS: dynamic partitioning may take 1.5 times the buffer interval"),
        Wait("registered", "S3 event, SQS, function", 0.3, 2.0, "assumption: S3 events take a second or two. The queue has no window"),
        Wait("bronze", "stream of the control table, execution, Lambda", 1.0, 6.0, "assumption: 1 s warm, 6 s with a cold start"),
        Wait("silver", "the next run of silver", 0.0, schedule, f"{file}, silver_schedule: every {schedule / 60:.0f} minutes"),
        Wait(
            "silver",
            "the application has workers",
            5.0,
            60.0,
            "assumption: EMR Serverless without initial capacity",
        ),
        Wait("silver", "plan, merge, commit", 40.0, 120.0, "assumption: Spark session, four tables at once, a few files each"),
    ]


def median(road: Capacity) -> float:
    """The median of the seconds from commit to silver: each wait is symmetric, and so is their sum, around the sum of their middles."""
    return sum((wait.low + wait.high) / 2 for wait in waits(road))
