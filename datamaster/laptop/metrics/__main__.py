"""``python -m datamaster.laptop.metrics``: sends metrics to the emulator's CloudWatch until SIGTERM."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from psycopg2 import Error as PostgresError

from datamaster.laptop.metrics import service_metrics
from datamaster.laptop.metrics.embedded import Datum, metrics_of
from datamaster.laptop.metrics.logs import FileLogs, FunctionLogs
from datamaster.replicator.positions import caught_up, current_lsn, unread_bytes

LOOK_SECONDS = 10.0
REPORT_SECONDS = 30.0
DATA_OF_A_REQUEST = 500
REPORT_EVENT = {"version": "0", "id": "report", "detail-type": "Scheduled Event", "source": "aws.events", "account": "", "region": ""}

logger = logging.getLogger("metrics")
Source = Callable[[], Iterable[Datum]]


def send(data: Iterable[Datum]) -> int:
    """Put metrics into CloudWatch. Returns their number."""
    by_namespace = defaultdict(list)
    for datum in data:
        by_namespace[datum.namespace].append(datum.request())
    for namespace, requests in by_namespace.items():
        for first in range(0, len(requests), DATA_OF_A_REQUEST):
            service_metrics.client("cloudwatch").put_metric_data(
                Namespace=namespace, MetricData=requests[first : first + DATA_OF_A_REQUEST]
            )
    return sum(map(len, by_namespace.values()))


def report_state(function: str) -> None:
    """Invoke the report of the control table's state, as the schedule does on AWS."""
    event = REPORT_EVENT | {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "resources": [], "detail": {}}
    service_metrics.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event).encode(), InvocationType="Event")


def sources(chosen: argparse.Namespace) -> list[Source]:
    """Everything that metrics come from."""
    functions, containers = FunctionLogs(), FileLogs(chosen.work / "containers")

    def logged(lines: Callable[[], Iterator[str]]) -> Iterator[Datum]:
        for line in lines():
            yield from metrics_of(line)

    def behind() -> bool:
        return not caught_up(chosen.dsn, chosen.slot, current_lsn(chosen.dsn), ())

    stream = service_metrics.StreamMetrics(chosen.stream, chosen.delivery)
    replication = service_metrics.ReplicationMetrics(chosen.config, behind)
    executions, tasks = service_metrics.ExecutionMetrics(), service_metrics.ContainerMetrics(chosen.work / "containers-taken")
    return [
        partial(logged, functions.new),
        partial(logged, containers.new),
        service_metrics.queues,
        executions.new,
        stream.new,
        replication.new,
        tasks.new,
        service_metrics.LostBatches(chosen.stage).new,
        service_metrics.SourceLog(partial(unread_bytes, chosen.dsn, chosen.slot)).new,
    ]


def run(found: Iterable[Source], function: str, stopping: threading.Event) -> None:
    """Look, send, wait, until ``stopping``. A source that does not answer is left out of that round."""
    reported = float("-inf")
    while not stopping.is_set():
        if time.monotonic() - reported >= REPORT_SECONDS:
            reported = time.monotonic()
            _patiently(partial(report_state, function))
        for source in found:
            _patiently(lambda source=source: send(source()))  # type: ignore[misc]
        stopping.wait(LOOK_SECONDS)


def _patiently(call: Callable[[], object]) -> None:
    try:
        call()
    except (BotoCoreError, ClientError, PostgresError, OSError) as error:
        logger.warning("left out this time: %s", error)


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m datamaster.laptop.metrics", description=__doc__)
    parser.add_argument("--dsn", required=True, help="the source database")
    parser.add_argument("--slot", required=True, help="the replicator's slot")
    parser.add_argument("--config", required=True, help="ARN of the replication")
    parser.add_argument("--stream", required=True, help="name of the stream of changes")
    parser.add_argument("--stage", required=True, help="name of the stage bucket")
    parser.add_argument("--delivery", type=Path, required=True, help="the delivery worker's state")
    parser.add_argument("--work", type=Path, required=True, help="where containers and jobs run")
    parser.add_argument("--report", required=True, help="name of the function that tells the control table's state")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    run(sources(chosen), chosen.report, stopping)
    return 0


if __name__ == "__main__":
    sys.exit(main())
