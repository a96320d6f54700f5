"""The health check: whether everything that the API reads answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from lake.contract.store import ContractStore
from lake.control import ControlTable

OK, BROKEN = "ok", "broken"


def health(control: ControlTable, contracts: ContractStore) -> dict[str, Any]:
    """The state of each thing that the API reads, with its latency. ``status`` is ok only if all are ok."""
    checks = [
        _check("control_table", lambda: _table_status(control)),
        _check("control_index", lambda: _index_status(control)),
        _check("contracts", lambda: f"version {contracts.current().version}"),
    ]
    return {"status": OK if all(check["status"] == OK for check in checks) else BROKEN, "checks": checks}


def _table_status(control: ControlTable) -> str:
    control.items.get({"pk": "health", "sk": "health"})
    return f"table {control.name} answers"


def _index_status(control: ControlTable) -> str:
    next(control.listing.files(page_size=1), None)
    return f"index by_status of {control.name} answers"


def _check(name: str, look: Callable[[], str]) -> dict[str, Any]:
    begin = time.perf_counter()
    try:
        status, detail = OK, look()
    except Exception as error:
        status, detail = BROKEN, f"{type(error).__name__}: {error}"
    return {"name": name, "status": status, "detail": detail, "latency_ms": round((time.perf_counter() - begin) * 1000, 1)}
