"""The emulator's streams forget what its own code would have them forget."""

from __future__ import annotations

import time
from copy import deepcopy

from hypothesis import given
from hypothesis import strategies as st
from ministack.services import kinesis

from datamaster.laptop.emulator_process import expire_records

DAY = 24 * 3600


@given(st.lists(st.lists(st.integers(-3 * DAY, -60).filter(lambda age: abs(age + DAY) > 60)), min_size=1, max_size=3))
def test_records_past_retention_go_and_no_others(shards):
    now = time.time()
    ours = {
        "RetentionPeriodHours": 24,
        "shards": {n: {"records": [{"ApproximateArrivalTimestamp": now + age} for age in sorted(ages)]} for n, ages in enumerate(shards)},
    }
    theirs = deepcopy(ours)

    expire_records(ours)
    kinesis._expire_records(theirs)

    assert ours == theirs
