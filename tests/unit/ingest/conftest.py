"""DMS messages in the words of a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from ingest.dms_messages import NotUnderstood
from ingest.routing import Router
from lake.contract import ContractSet

ROOT = Path(__file__).resolve().parents[3]

OTHER_TYPES = """
apiVersion: v3.0.2
kind: DataContract
id: sales-order
version: 1.0.0
status: active
schema:
  - name: order
    physicalName: sales.orders
    properties:
      - {name: region, physicalType: varchar(10), primaryKey: true, primaryKeyPosition: 1}
      - {name: number, physicalType: integer, primaryKey: true, primaryKeyPosition: 2}
      - {name: code, physicalType: uuid}
      - {name: price, physicalType: "numeric(12,2)"}
      - {name: paid, physicalType: boolean}
      - {name: due, physicalType: date}
      - {name: placed_at, physicalType: timestamptz, required: true}
      - {name: shipped_at, physicalType: timestamp}
      - {name: notes, physicalType: text}
      - {name: tags, physicalType: "text[]"}
      - {name: payload, physicalType: jsonb}
      - {name: seal, physicalType: bytea}
      - {name: weight, physicalType: real}
      - {name: ratio, physicalType: double precision, customProperties: [{property: allowNaN, value: true}]}
      - {name: pieces, physicalType: smallint}
"""

BEER = """
apiVersion: v3.0.2
kind: DataContract
id: beer
version: 1.0.0
status: active
schema:
  - name: beer
    physicalName: dm_core.beer
    properties:
      - {name: beer_id, physicalType: bigint, primaryKey: true}
      - {name: beer_name, physicalType: varchar(200), required: true}
      - {name: beer_abv, physicalType: double precision}
      - {name: story, physicalType: text}
"""

BUILT_AT = "2024-07-29T00:58:17.983670Z"
COMMITTED_AT = "2024-07-29T00:58:17.974340Z"


def metadata(operation: str, table: str = "dm_core.beer", lsn: int = 0x27C007178, record: int = 3, **changes: Any) -> dict[str, Any]:
    """What DMS says of a change."""
    schema, _, name = table.rpartition(".")
    place = f"{lsn >> 32:08X}/{lsn & 0xFFFFFFFF:08X}"
    said: dict[str, Any] = {
        "timestamp": BUILT_AT,
        "record-type": "data",
        "operation": operation,
        "partition-key-type": "primary-key",
        "schema-name": schema,
        "table-name": name,
    }
    if operation not in ("load", "read"):
        said |= {
            "transaction-id": 87978110091475,
            "transaction-record-id": 1,
            "commit-timestamp": COMMITTED_AT,
            "stream-position": f"{place}.{record}.{place}",
        }
    said |= {key.replace("_", "-"): value for key, value in changes.items()}
    return {key: value for key, value in said.items() if value is not None}


def message(operation: str, data: dict[str, Any], before: dict[str, Any] | None = None, **about: Any) -> bytes:
    """A data record of the stream."""
    document: dict[str, Any] = {"data": data, "metadata": metadata(operation, **about)}
    if before is not None:
        document["before-image"] = before
    return orjson.dumps(document)


def control(operation: str, table: str = "dm_core.beer") -> bytes:
    """A control record of the stream."""
    about = metadata("load", table) | {"record-type": "control", "operation": operation, "partition-key-type": "task-id"}
    return orjson.dumps({"control": {}, "metadata": about})


@pytest.fixture
def dms() -> SimpleNamespace:
    """DMS's records: ``dms.message(operation, data, before, …)``, ``dms.control(operation, table)``, ``dms.metadata(…)``."""
    return SimpleNamespace(message=message, control=control, metadata=metadata, built_at=BUILT_AT, committed_at=COMMITTED_AT)


@pytest.fixture
def contracts() -> ContractSet:
    return ContractSet.of({"beer.yaml": BEER, "order.yaml": OTHER_TYPES})


class Route:
    """Routes messages and reads the lines back."""

    def __init__(self, router: Any, refused: type[Exception]) -> None:
        self.router, self.refused = router, refused

    def lines(self, raw: bytes) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.router.route(raw).lines.splitlines()]

    def line(self, raw: bytes) -> dict[str, Any]:
        (line,) = self.lines(raw)
        return line

    def reason(self, raw: bytes) -> str:
        with pytest.raises(self.refused) as caught:
            self.router.route(raw)
        return str(caught.value)


@pytest.fixture
def route(contracts: ContractSet) -> Route:
    return Route(Router(contracts), NotUnderstood)


@pytest.fixture
def renamed_route() -> Route:
    """A contract that calls the source's ``Beer ID`` beer_id."""
    renamed = ContractSet.of({"beer.yaml": BEER.replace("name: beer_id,", 'name: beer_id, physicalName: "Beer ID",')})
    return Route(Router(renamed), NotUnderstood)


@pytest.fixture
def routed_by() -> Callable[[str], Route]:
    """``routed_by(contract)`` routes by that contract alone."""
    return lambda text: Route(Router(ContractSet.of({"table.yaml": text})), NotUnderstood)
