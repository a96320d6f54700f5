"""The same stages with the AWS settings. Numbers come from the templates, and all others are named as assumptions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
SAMPLES = 200_000

Seconds = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Wait:
    """A stage's seconds, evenly spread from ``low`` to ``high``. ``source`` is the template's property or the assumption."""

    stage: str
    what: str
    low: float
    high: float
    source: str


def waits() -> list[Wait]:
    """The waits of a change on AWS, in the order of the stages."""
    delivery, processing = _parameters("streaming-delivery.yaml"), _parameters("processing.yaml")
    transform = float(_processor("BufferIntervalInSeconds"))
    buffer, schedule = float(delivery["BufferSeconds"]), _rate_seconds(processing["SilverSchedule"])
    return [
        Wait("stream", "DMS reads the log, sends to Kinesis", 0.5, 3.0, "assumption: DMS batches changes for a second or two"),
        Wait("raw", "transform buffer", 0.0, transform, "streaming-delivery.yaml, BufferIntervalInSeconds"),
        Wait(
            "raw", "object buffer", 0.0, buffer, f"streaming-delivery.yaml, BufferSeconds {buffer:.0f}: a change waits for the rest of it"
        ),
        Wait("raw", "partitioning", 0.0, buffer / 2, "AWS: dynamic partitioning may take 1.5 times the buffer interval"),
        Wait(
            "registered", "S3 event, SQS, function", 0.3, 2.0, "assumption: S3 events come within a second or two; the queue has no window"
        ),
        Wait("bronze", "stream of the control table, execution, Lambda", 1.0, 6.0, "assumption: 1 s warm, 6 s with a cold start"),
        Wait("silver", "the next run of silver", 0.0, schedule, f"processing.yaml, SilverSchedule {processing['SilverSchedule']}"),
        Wait(
            "silver",
            "the application has workers",
            5.0,
            60.0,
            "assumption: EMR Serverless without initial capacity; seconds where it still has them",
        ),
        Wait("silver", "plan, merge, commit", 40.0, 120.0, "assumption: Spark session, four tables at once, a few files each"),
    ]


def cumulative(found: list[Wait], seed: int = 1) -> dict[str, Seconds]:
    """Sampled seconds from commit to the end of each stage."""
    generator = np.random.default_rng(seed)
    total: Seconds = np.zeros(SAMPLES)
    ends: dict[str, Seconds] = {}
    for wait in found:
        total = total + generator.uniform(wait.low, wait.high, SAMPLES)
        ends[wait.stage] = total
    return ends


def _template(name: str) -> Any:
    class Loader(yaml.SafeLoader):
        """Reads CloudFormation's short forms as their arguments."""

    Loader.add_multi_constructor("!", lambda loader, _suffix, node: getattr(node, "value", None))
    return yaml.load((TEMPLATES / name).read_text(), Loader)  # noqa: S506


def _parameters(name: str) -> dict[str, Any]:
    return {key: entry["Default"] for key, entry in _template(name)["Parameters"].items() if "Default" in entry}


def _processor(parameter: str) -> str:
    text = (TEMPLATES / "streaming-delivery.yaml").read_text()
    found = re.search(rf'ParameterName: {parameter}, ParameterValue: "(\d+)"', text)
    if found is None:
        raise ValueError(f"streaming-delivery.yaml: no processor parameter {parameter}")
    return found[1]


def _rate_seconds(expression: str) -> float:
    found = re.fullmatch(r"rate\((\d+) (minute|hour)s?\)", expression)
    if found is None:
        raise ValueError(f'schedule "{expression}"; expected rate(N minutes) or rate(N hours)')
    return float(found[1]) * {"minute": 60, "hour": 3600}[found[2]]
