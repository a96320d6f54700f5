"""Records are cut into invocations by size."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from datamaster.laptop.delivery.transformer import DeliveryRecord
from datamaster.laptop.delivery.worker import requests


@given(st.lists(st.integers(0, 30), max_size=40), st.integers(1, 50))
def test_every_record_travels_once_in_order_and_no_invocation_is_too_long(sizes, limit):
    records = [DeliveryRecord(str(n), b"x" * size, 0, "s0", str(n), "k") for n, size in enumerate(sizes)]

    cut = list(requests(records, limit))

    assert [record for request in cut for record in request] == records
    assert all(len(request) == 1 or sum(len(record.data) for record in request) <= limit for request in cut)
    assert all(cut)
