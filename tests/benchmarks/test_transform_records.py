"""How many records a second and core transform_records takes; ``pytest tests/benchmarks -s`` prints it."""

from __future__ import annotations

import base64
import random
import time

import orjson
import pytest
from aws_lambda_powertools.utilities.data_classes import KinesisFirehoseEvent

from beer import CONTRACTS
from ingest import routing, transformation
from lake.contract import ContractSet

RECORDS = 4000
ROUNDS = 5
FLOOR = 10_000
"""Far below what an idle core does, so that a busy machine fails nothing and a tenfold loss does."""


def review(number: int, source: random.Random) -> bytes:
    """One change of a review as DMS writes it."""
    operation = source.choice(["load", "insert", "update"])
    scores = {f"review_{name}": source.choice([None, 3, 3.5, 4.5]) for name in ("overall", "aroma", "appearance", "palate", "taste")}
    row = {"review_id": number, "brewery_id": number % 5840, "beer_id": number % 66055, "profile_id": number % 33388, **scores}
    place = f"00000002/{number:08X}"
    about = {
        "timestamp": "2024-07-29T00:58:17.983670Z",
        "record-type": "data",
        "operation": operation,
        "partition-key-type": "primary-key",
        "partition-key-value": f"dm_core.review.{number}",
        "schema-name": "dm_core",
        "table-name": "review",
        "transaction-id": 1139 + number,
        "transaction-record-id": 1,
        "prev-transaction-id": 1138 + number,
        "prev-transaction-record-id": 1,
        "commit-timestamp": "2024-07-29T00:58:17.974340Z",
        "stream-position": f"{place}.3.{place}",
    }
    return orjson.dumps({"data": {**row, "review_time": 1_300_000_000 + number}, "metadata": about, "before-image": {}})


@pytest.mark.slow
def test_reviews_are_transformed_fast():
    router = routing.Router(ContractSet.from_directory(CONTRACTS))
    source = random.Random(7)
    about = {"approximateArrivalTimestamp": 1_722_214_697_990}
    records = [
        {**about, "recordId": f"{number:056d}", "data": base64.b64encode(review(number, source)).decode()} for number in range(RECORDS)
    ]

    best = 0.0
    for _ in range(ROUNDS):
        begin = time.process_time()
        batch = transformation.Transformation(router).run(KinesisFirehoseEvent({"records": records}).records)
        best = max(best, RECORDS / (time.process_time() - begin))

    print(f"\ntransform_records: {best:,.0f} review records a second and core")
    assert batch.counts.ok == RECORDS
    assert best > FLOOR
