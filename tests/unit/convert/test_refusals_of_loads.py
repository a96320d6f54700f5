"""A rejected line of a load is known, whatever is wrong with it; one of a change is none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import orjson
import pytest

from convert.quarantine import refusal_of_load
from ingest.routing import Router
from lake.contract import ContractSet
from lake.control import Fence

CONTRACT = """
apiVersion: v3.0.2
kind: DataContract
version: 1.0.0
schema:
  - name: beer
    physicalName: app.beer
    properties:
      - {name: beer_id, physicalType: bigint, primaryKey: true}
      - {name: story, physicalType: text}
"""
MOMENT = "2026-01-01T00:00:01.000005Z"


def line(operation: str) -> bytes:
    """What the router writes."""
    place = {"stream-position": "00000002/7C007178.3.00000002/7C007178", "commit-timestamp": MOMENT, "transaction-id": 7}
    named = {"record-type": "data", "operation": operation, "schema-name": "app", "table-name": "beer", "timestamp": MOMENT}
    message = {"metadata": named | place, "data": {"beer_id": 1, "story": 'a "quoted" story'}}
    return Router(ContractSet.of({"beer.yaml": CONTRACT})).route(orjson.dumps(message)).lines.rstrip()


@pytest.mark.parametrize("damage", [lambda raw: raw, lambda raw: raw.replace(b'"beer_id":1', b'"beer_id":1e999'), lambda raw: raw[:-9]])
def test_a_rejected_line_of_a_load_is_known_by_its_bytes_and_time(damage: Callable[[bytes], bytes]) -> None:
    refusal = refusal_of_load(damage(line("load")))

    assert refusal is not None
    assert refusal.built_at == Fence(datetime(2026, 1, 1, 0, 0, 1, 5, tzinfo=UTC)).generation
    assert refusal == refusal_of_load(damage(line("load")))


@pytest.mark.parametrize("operation", ["insert", "update", "delete"])
def test_a_rejected_line_of_a_change_is_none(operation: str) -> None:
    assert refusal_of_load(line(operation)) is None


def test_a_text_that_quotes_a_load_is_none() -> None:
    quoted = line("insert").replace(b"story", line("load").replace(b'"', b'\\"'), 1)

    assert refusal_of_load(quoted) is None
