"""The same stages with the settings of an environment on AWS: the seconds of a change, drawn from the waits of its stages."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from datamaster.aws.sizing.latency import Wait

SAMPLES = 200_000

Seconds = npt.NDArray[np.float64]


def cumulative(found: Iterable[Wait], seed: int = 1) -> dict[str, Seconds]:
    """Sampled seconds from commit to the end of each stage."""
    generator = np.random.default_rng(seed)
    total: Seconds = np.zeros(SAMPLES)
    ends: dict[str, Seconds] = {}
    for wait in found:
        total = total + generator.uniform(wait.low, wait.high, SAMPLES)
        ends[wait.stage] = total
    return ends
