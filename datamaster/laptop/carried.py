"""The tables that a running platform carries: more of them, or fewer, without touching the others."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from datamaster.laptop import carried_tables, holdups, state
from datamaster.laptop.replication_state import replication_state
from datamaster.laptop.state import State
from datamaster.platform import actions, pipelines
from datamaster.platform.settled import Stage, wait_for
from datamaster.replicator.task_state import ask_reload
from datamaster.source.preparation import Preparation
from lake.contract import Contract, ContractSet, parse_contract
from lake.contract.store import POINTER_TTL_SECONDS, publish
from lake.errors import TerminalError

RESTART_SECONDS = 30.0
ASK_SECONDS = 10.0

Progress = Callable[[str], None]


class NotOurs(TerminalError):
    """The platform's tables are not its user's to choose."""


def add(running: State, plan: Preparation, progress: Progress) -> int:
    """Carry the plan's new tables too: contracts first, then the load of these tables alone. Returns how many rows it read.

    Raises ``NotOurs``, ``NotSettled``.
    """
    _check_ours(running)
    new = sorted(str(name) for name in plan.names if name not in plan.known)
    plan.write(running.contracts)
    try:
        publish(running.contracts, running.contracts_uri)
    except BaseException:
        plan.undo(running.contracts)
        raise
    progress("contracts in force")
    time.sleep(POINTER_TTL_SECONDS + 1)  # a record that comes before a function knows its table is refused
    since = datetime.now(UTC)
    _carry(running, ContractSet.from_directory(running.contracts))
    _asked(running, new, since)

    def loaded() -> bool:
        found = {load.name: load for load in replication_state(running.dsn, running.slot).loads}
        return all(name in found and found[name].ended and (found[name].started or since) >= since for name in new)

    wait_for([Stage("load", loaded, holdups.replication(running.home, running.dsn, running.slot))], progress, float("inf"))
    return sum(load.rows for load in replication_state(running.dsn, running.slot).loads if load.name in new)


def drop(running: State, contract: Contract, progress: Progress) -> None:
    """Stop carrying a table. Pending changes arrive first, and its rows in the lake stay. Raises ``NotOurs``, ``InvalidContract``."""
    _check_ours(running)
    files = {path: path.read_text(encoding="utf-8") for path in sorted(running.contracts.glob("*.yaml"))}
    own = next(path for path, text in files.items() if parse_contract(text, path.name).table == contract.table)
    left = ContractSet.of({path.name: text for path, text in files.items() if path != own})
    if not left.tables:
        raise NotOurs(f'"{contract.table}" is the only table; dm down ends the platform')
    _carry(running, left)
    actions.convert_all(running, progress)
    pipelines.run(running, "silver", progress, {"tables": [contract.table]})
    own.unlink()
    publish(running.contracts, running.contracts_uri)


def _check_ours(running: State) -> None:
    if running.home not in running.contracts.parents:
        raise NotOurs(f"this platform carries the tables of {running.contracts}; a platform of dm up --source takes and drops tables")


def _carry(running: State, contracts: ContractSet) -> None:
    """Restart the replicator with these contracts' tables. The supervisor starts it."""
    carried_tables.save(running.home, sorted(f"{c.source_schema}.{c.source_table}" for c in contracts.tables.values() if c.cdc))
    before = state.processes(running.home)["replicator"]
    if before["pid"]:
        os.kill(before["pid"], signal.SIGTERM)

    def started() -> bool:
        now = state.processes(running.home)["replicator"]
        return bool(now["pid"]) and now["restarts"] > before["restarts"]

    wait_for([Stage("replicator", started)], lambda _text: None, RESTART_SECONDS)


def _asked(running: State, tables: Iterable[str], since: datetime) -> None:
    """Ask for the load of tables that the replicator does not load by itself: it had loaded them once, before they were dropped."""
    missing, deadline = set(tables), time.monotonic() + ASK_SECONDS
    while missing and time.monotonic() < deadline:
        loads = replication_state(running.dsn, running.slot).loads
        missing -= {load.name for load in loads if load.started is not None and load.started >= since}
        time.sleep(0.5)
    if missing:
        ask_reload(running.dsn, running.slot, sorted(missing))
