"""The replicator's process, and the command that requests a reload of tables."""

from __future__ import annotations

import argparse
import csv
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from datamaster.replicator.endpoint_settings import extra_connection_attributes, keeps_large_integers
from datamaster.replicator.replication_task import TASK, ReplicationTask, TaskSettings
from datamaster.replicator.statistics_endpoint import NotConnected, serve
from datamaster.replicator.task_state import TableStatistics, ask_reload
from datamaster.source.pg_catalog import PUBLICATION, SLOT
from datamaster.wire.kinesis import KinesisRecords
from lake.errors import LakeError

CONNECT_SECONDS = 5
"""Seconds that a request for statistics waits for a task that has just started."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the task until SIGTERM or SIGINT, or request a reload. Returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    try:
        return _reload(words[1:]) if words[:1] == ["reload"] else _run(words)
    except LakeError as error:
        print(f"replicator: {error}", file=sys.stderr)
        return 1


def _reload(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m datamaster.replicator reload", description="Read tables once more.")
    parser.add_argument("tables", nargs="+", metavar="SCHEMA.TABLE")
    parser.add_argument("--dsn", required=True, help="the source database")
    parser.add_argument("--slot", default=SLOT)
    chosen = parser.parse_args(words)
    ask_reload(chosen.dsn, chosen.slot, chosen.tables)
    return 0


def _tables(given: str) -> tuple[str, ...]:
    line = Path(given[1:]).read_text(encoding="utf-8") if given.startswith("@") else given
    return tuple(next(csv.reader([line])))


def _run(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m datamaster.replicator", description="Replicate tables into a Kinesis stream.")
    parser.add_argument("--dsn", required=True, help="the source database")
    parser.add_argument("--stream", required=True, help="name of the Kinesis data stream")
    parser.add_argument("--tables", required=True, help="schema.table,schema.table,… as a line of CSV, or @ and a file with it")
    parser.add_argument("--slot", default=SLOT, help="replication slot, which also names the task's state")
    parser.add_argument("--publication", default=PUBLICATION)
    parser.add_argument("--task", default=TASK, help="task id in control records")
    parser.add_argument("--statistics-port", type=int, default=0, help="port on 127.0.0.1 for table statistics; 0 takes a free one")
    parser.add_argument("--extra-connection-attributes", help="the target endpoint's; those of the template by default")
    chosen = parser.parse_args(words)
    attributes = chosen.extra_connection_attributes
    large = keeps_large_integers(extra_connection_attributes() if attributes is None else attributes)
    settings = TaskSettings(chosen.dsn, chosen.stream, _tables(chosen.tables), chosen.slot, chosen.publication, chosen.task, large)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    task = ReplicationTask(settings, KinesisRecords(), stop)

    def tables() -> list[TableStatistics]:
        if not task.connected.wait(CONNECT_SECONDS) or task.state is None:
            raise NotConnected
        return list(task.state.tables.values())

    endpoint = serve(chosen.statistics_port, tables, lambda names: ask_reload(settings.dsn, settings.slot, names))
    print(f"table statistics: http://127.0.0.1:{endpoint.server_address[1]}", flush=True)
    with ThreadPoolExecutor(1, thread_name_prefix="task") as pool:  # Python handles no signal while its main thread serves
        pool.submit(task.run).result()
    endpoint.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
