"""Whether the API can do its work: what it reads has to answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lake.contract.store import ContractStore
from lake.control import ControlTable

OK, BROKEN = "ok", "broken"


def health(control: ControlTable, contracts: ContractStore) -> dict[str, Any]:
    """The state of each thing the API reads; ``status`` is ok only where all are."""
    checks = [
        _check("control_table", lambda: _table_status(control)),
        _check("contracts", lambda: f"version {contracts.current().version}"),
    ]
    return {"status": OK if all(check["status"] == OK for check in checks) else BROKEN, "checks": checks}


def _table_status(control: ControlTable) -> str:
    control.table.get_item(Key={"pk": "health", "sk": "health"})
    return f"table {control.name} answers"


def _check(name: str, look: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"name": name, "status": OK, "detail": look()}
    except Exception as error:
        return {"name": name, "status": BROKEN, "detail": f"{type(error).__name__}: {error}"}
