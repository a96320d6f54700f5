"""Decides whether a table's newest load is complete. Only then do rows of older generations end.

A load is complete once the rows in silver and the refused rows together cover the count at the source. If more rows were
refused than the contract allows, the load waits and reports it.
"""

from __future__ import annotations

from dataclasses import dataclass

from batches.load_statistics import Load, LoadStatistics
from lake.cdc import LOAD
from lake.contract import Contract
from lake.control import ControlTable
from lake.control.fences import CLOCK_SLACK
from lake.control.records import BRONZE, FAILED, PENDING, RUNNING, timestamp
from lake.control.target_items import ExportedLoad
from lake.generations import Fence
from lake.keys import is_of_export


@dataclass(frozen=True)
class LoadState:
    """The newest generation if its load is complete and older generations still stand, else 0. Or the reason why the load waits."""

    complete: int = 0
    waits: str | None = None


@dataclass(frozen=True)
class Loads:
    """Compares the source's counts with the lake's rows."""

    control: ControlTable
    statistics: LoadStatistics

    def state(self, contract: Contract, newest: Fence | None, retired_below: int) -> LoadState:
        """The state of the load behind the newest fence, if its older generations still stand."""
        if newest is None or newest.generation <= retired_below:
            return LoadState()
        if not contract.cdc:
            return LoadState(newest.generation) if self._all_settled(contract.table, newest) else LoadState()
        exported = self.control.loads.exported(f"silver/{contract.table}")
        if exported is not None and exported.generation == newest.generation:
            return self._exported(contract, newest, exported)
        load = self.statistics.complete_load(contract)
        if load is None or (load.ended_at is not None and load.ended_at < newest.at) or self._is_under_way(contract.table, newest):
            return LoadState()
        return self._counted(contract, newest, load)

    def _exported(self, contract: Contract, newest: Fence, exported: ExportedLoad) -> LoadState:
        """The state of a load by export. Each of its rows is in one file, so the files' own counts of refused rows are added up."""
        if exported.rows is None:
            return _waits(contract, newest, f"its export {exported.export_id} is under way, or was ended by force")
        if self._is_under_way(contract.table, newest):
            return LoadState()
        files = self.control.listing.files(table=contract.table, since=newest.at - CLOCK_SLACK)
        refused = sum(record.records_rejected or 0 for record in files if is_of_export(record.object_key, exported.export_id))
        return self._counted(contract, newest, Load(exported.rows, None, refused=refused))

    def _counted(self, contract: Contract, newest: Fence, load: Load) -> LoadState:
        target = f"silver/{contract.table}"
        missing = load.rows - self.control.states.get(target).loads.get(str(newest.generation), 0)
        if missing < 0:  # the source reports a later load, whose fence has not arrived
            return LoadState()
        refused = load.refused
        if refused is None:
            refused = self.control.refusals.count(contract.table, newest) if missing or load.left_out else 0
        if self.control.loads.accepted(target) == newest.generation:
            return LoadState(newest.generation)
        reason = _missing(missing - refused, load) or _too_many(refused, load, contract.reject_ratio)
        if reason is None:
            return LoadState(newest.generation)
        return _waits(contract, newest, reason)

    def _is_under_way(self, table: str, fence: Fence) -> bool:
        """Whether an unmerged file may hold rows of the load behind the fence. An unconverted file may hold any rows."""
        if any(self.control.listing.count(table, status) for status in (PENDING, RUNNING)):
            return True
        at = timestamp(fence.at)
        waiting = self.control.listing.files(table=table, status=BRONZE)
        return any((r.built_at_max is None or r.built_at_max >= at) and (not r.operations or LOAD in r.operations) for r in waiting)

    def _all_settled(self, table: str, fence: Fence) -> bool:
        """Whether every file of an export is merged. Its fence is stored after the last file was registered."""
        waiting = any(self.control.listing.count(table, status) for status in (PENDING, RUNNING, BRONZE))
        return not waiting and next(iter(self.control.listing.files(table=table, status=FAILED, since=fence.at)), None) is None


def _waits(contract: Contract, newest: Fence, reason: str) -> LoadState:
    cure = f"dm reload {contract.table} loads it again, dm reload {contract.table} --accept takes it as it is"
    return LoadState(waits=f"the load of {timestamp(newest.at)} waits, and older rows stay: {reason}; {cure}")


def _missing(missing: int, load: Load) -> str | None:
    return f"{missing:,} of its {load.rows:,} rows have neither come nor been refused" if missing > 0 else None


def _too_many(refused: int, load: Load, ratio: float) -> str | None:
    lost, rows = refused + load.left_out, load.rows + load.left_out
    if lost <= ratio * rows:
        return None
    return f"{lost:,} of its {rows:,} rows were refused ({load.left_out:,} of them at the source), above the contract's {ratio:.1%}"
