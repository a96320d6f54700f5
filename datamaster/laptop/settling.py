"""Wait until everything committed in the source has reached bronze."""

from __future__ import annotations

from collections import Counter

from datamaster.laptop import holdups
from datamaster.laptop.delivery import flushed
from datamaster.laptop.state import State
from datamaster.platform import Progress
from datamaster.platform.settled import Conversion, Stage, wait_for
from datamaster.replicator.positions import caught_up as replicated
from datamaster.replicator.positions import current_lsn
from lake.contract.store import ContractStore
from lake.control import ControlTable


def settle(running: State, progress: Progress) -> Counter[str]:
    """Wait for the source's current position, stage by stage. Returns the number of files by status. Raises ``NotSettled``."""
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
