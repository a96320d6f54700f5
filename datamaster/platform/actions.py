"""Actions on an installation: wait for pending changes, export, reload."""

from __future__ import annotations

from collections import Counter

from datamaster.platform import Platform, Progress, table_loads
from datamaster.platform.missing_values import missing_keys
from datamaster.platform.query import Athena
from datamaster.platform.settled import Conversion, Stage, wait_for
from export import table_export
from lake.contract import Contract, ContractSet
from lake.contract.store import ContractStore
from lake.control import ControlTable
from lake.control.records import PENDING, RUNNING, ControlRecord
from lake.errors import TerminalError

EXPORT_ROWS = 100_000
"""The rows, by the source's estimate, from which on a load goes by an export."""


class NoWaitingLoad(TerminalError):
    """There is no load to accept."""


class UnknownSlot(TerminalError):
    """The replication slot that captures the source's changes is not known to this machine."""


def current_contracts(running: Platform) -> ContractSet:
    """The contracts in force."""
    return ContractStore(running.contracts_uri).current()


def contract_of(running: Platform, table: str) -> Contract:
    """The contract in force of a lake table. Raises ``UnknownTable``."""
    return current_contracts(running).table(table)


def convert_all(running: Platform, progress: Progress) -> Counter[str]:
    """Wait until everything on its way is in bronze, or failed. Returns the number of files by status. Raises ``NotSettled``."""
    return running.settle(progress)


def export_table(running: Platform, table: str, whole: bool, progress: Progress) -> table_export.Export:
    """Export a table of the source into the stage bucket, whole or from its watermark.

    Raises ``UnknownTable``, ``ExportFailed``, ``SourceOutOfReach``.
    """
    control = ControlTable(running.control_table)
    return table_export.export_table(
        running.source, running.stage_bucket, contract_of(running, table), control, whole=whole, progress=progress
    )


def export_missing(running: Platform, table: str, progress: Progress) -> table_export.Export | None:
    """Export the rows with a column in ``cdc_missing``. None if there are none. Raises like ``export_table``, and ``QueryFailed``."""
    control, contract = ControlTable(running.control_table), contract_of(running, table)
    keys = missing_keys(Athena(running.work_group, database="dm_silver"), contract, control)
    if keys == []:
        return None
    if keys is None:
        progress("their keys are hashed in the lake, or are too many: every row is exported")
    return table_export.export_table(
        running.source, running.stage_bucket, contract, control, whole=keys is None, only=keys, progress=progress
    )


def await_export(running: Platform, export: table_export.Export, progress: Progress) -> list[ControlRecord]:
    """Wait until every file of an export is converted, or refused. Returns their records. Raises ``NotSettled``."""
    control, names = ControlTable(running.control_table), {written.key for written in export.objects}

    def files() -> list[ControlRecord]:
        return [record for record in control.listing.files(table=export.table) if record.object_key in names]

    def done() -> bool:
        return sum(record.status not in (PENDING, RUNNING) for record in files()) >= len(names)

    conversion = Conversion(running.stage_bucket, control, ContractStore(running.contracts_uri).current)
    wait_for([Stage("its files to bronze", done, conversion.holds)], progress)
    return files()


def is_large(running: Platform, table: str) -> bool:
    """Whether a load of a table goes by an export: the source estimates many rows, and the slot that captures its changes is known."""
    contract = contract_of(running, table)
    if running.capture_slot is None or not contract.cdc:
        return False
    return table_export.estimated_rows(running.source, contract) >= EXPORT_ROWS


def load_by_export(running: Platform, table: str, progress: Progress) -> table_export.Export:
    """Load a table anew by an export, beside the changes that flow. Raises like ``export_table``, ``UnknownSlot``, ``NotCaptured``."""
    if running.capture_slot is None:
        raise UnknownSlot("only DMS knows its replication slot here: run python -m export.task with --load-beside SLOT, or --load stream")
    contract, control = contract_of(running, table), ControlTable(running.control_table)
    return table_export.export_table(
        running.source, running.stage_bucket, contract, control, load_beside=running.capture_slot, progress=progress
    )


def reload_table(running: Platform, table: str) -> None:
    """Ask DMS to load a table anew. Raises ``UnknownTable``, ``NoReplication``, ``NotReloaded``."""
    table_loads.reload(running.environment, contract_of(running, table))


def accept_load(running: Platform, table: str) -> str:
    """Accept a table's last load as it is. Returns the reason of its wait. Raises ``NoWaitingLoad``."""
    target, control = f"silver/{contract_of(running, table).table}", ControlTable(running.control_table)
    newest, waits = max(control.fences.of(table), default=None), control.loads.waits(target)
    if newest is None or waits is None:
        raise NoWaitingLoad(f'table "{table}": no load waits; dm run silver says so where one does')
    control.loads.accept(target, newest.generation)
    return waits.split("; dm reload")[0]
