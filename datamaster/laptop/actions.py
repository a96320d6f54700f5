"""Actions on a running platform: wait for pending changes, export, reload."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from datamaster.laptop import holdups
from datamaster.laptop.delivery import flushed
from datamaster.laptop.missing_values import missing_keys
from datamaster.laptop.state import State
from datamaster.platform.query import Athena
from datamaster.platform.settled import Conversion, Stage, wait_for
from datamaster.replicator.positions import caught_up as replicated
from datamaster.replicator.positions import current_lsn
from datamaster.replicator.task_state import ask_reload
from export import table_export
from lake.contract import Contract, ContractSet
from lake.contract.store import ContractStore
from lake.control import ControlTable
from lake.control.records import PENDING, RUNNING, STATUSES, ControlRecord
from lake.errors import TerminalError

Progress = Callable[[str], None]


class NoWaitingLoad(TerminalError):
    """There is no load to accept."""


def current_contracts(running: State) -> ContractSet:
    """The contracts in force."""
    return ContractStore(running.contracts_uri).current()


def contract_of(running: State, table: str) -> Contract:
    """The contract in force of a lake table. Raises ``UnknownTable``."""
    return ContractStore(running.contracts_uri).current().table(table)


def convert_all(running: State, progress: Progress) -> Counter[str]:
    """Wait until everything committed so far is in bronze, or failed. Returns the number of files by status. Raises ``NotSettled``."""
    position = current_lsn(running.dsn)
    store = ContractStore(running.contracts_uri)
    tables = [f"{c.source_schema}.{c.source_table}" for c in store.current().tables.values() if c.cdc]
    conversion = Conversion(running.stage_bucket, ControlTable(running.control_table), store.current)
    stages = (
        Stage(
            "from PostgreSQL into the stream",
            lambda: replicated(running.dsn, running.slot, position, tables),
            holdups.replication(running.home, running.dsn, running.slot),
        ),
        Stage(
            "from the stream into S3",
            lambda: flushed(running.delivery, running.stream_name),
            holdups.processes(running.home, "delivery"),
        ),
        Stage("raw files to bronze", conversion.done, conversion.holds),
    )
    wait_for(stages, progress)
    return conversion.statuses()


def export_table(running: State, table: str, whole: bool, progress: Progress) -> table_export.Export:
    """Export a table of the source into the stage bucket, whole or from its watermark. Raises ``UnknownTable``, ``ExportFailed``."""
    control = ControlTable(running.control_table)
    return table_export.export_table(
        running.dsn, running.stage_bucket, contract_of(running, table), control, whole=whole, progress=progress
    )


def export_missing(running: State, table: str, progress: Progress) -> table_export.Export | None:
    """Export the rows with a column in ``cdc_missing``. None if there are none. Raises like ``export_table``, and ``QueryFailed``."""
    control, contract = ControlTable(running.control_table), contract_of(running, table)
    keys = missing_keys(Athena(running.work_group, database="dm_silver"), contract, control)
    if keys == []:
        return None
    if keys is None:
        progress("their keys are hashed in the lake, or are too many: every row is exported")
    return table_export.export_table(running.dsn, running.stage_bucket, contract, control, whole=keys is None, only=keys, progress=progress)


def await_export(running: State, export: table_export.Export, progress: Progress) -> list[ControlRecord]:
    """Wait until every file of an export is converted, or refused. Returns their records. Raises ``NotSettled``."""
    control, names = ControlTable(running.control_table), {written.key for written in export.objects}

    def files() -> list[ControlRecord]:
        return [record for record in control.listing.files(table=export.table) if record.object_key in names]

    def done() -> bool:
        return sum(record.status not in (PENDING, RUNNING) for record in files()) >= len(names)

    conversion = Conversion(running.stage_bucket, control, ContractStore(running.contracts_uri).current)
    wait_for([Stage("its files to bronze", done, conversion.holds)], progress)
    return files()


def reload_table(running: State, table: str) -> None:
    """Ask the replicator to load a table anew, as DMS's ReloadTables does."""
    contract = contract_of(running, table)
    ask_reload(running.dsn, running.slot, [f"{contract.source_schema}.{contract.source_table}"])


def accept_load(running: State, table: str) -> str:
    """Accept a table's last load as it is. Returns the reason of its wait. Raises ``NoWaitingLoad``."""
    target, control = f"silver/{contract_of(running, table).table}", ControlTable(running.control_table)
    newest, waits = max(control.fences.of(table), default=None), control.loads.waits(target)
    if newest is None or waits is None:
        raise NoWaitingLoad(f'table "{table}": no load waits; dm run silver says so where one does')
    control.loads.accept(target, newest.generation)
    return waits.split("; dm reload")[0]


def backlog(running: State) -> dict[str, int]:
    """How many files are in each status."""
    counts = Counter(record.status for record in ControlTable(running.control_table).listing.files())
    return {status: counts[status] for status in STATUSES}
