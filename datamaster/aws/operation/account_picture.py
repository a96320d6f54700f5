"""The troubles of an environment in an account: its replication, its alarms, refused records, tables and files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import boto3
import orjson

from control_api.troubles import Trouble
from datamaster.aws.deploy.replication import STACK, Replication, ReplicationFailed
from datamaster.platform.picture import Picture, moment, of_api, of_refused, unreadable
from datamaster.platform.table_loads import ReplicationUnreachable, carried
from ingest.refused_records import NO_TABLE, ROUTER, Refused
from lake.control.inbox import EVERYTHING

if TYPE_CHECKING:
    from datamaster.aws.operation.installation import Installation

RUNNING = "running"
KEPT_SECONDS = 29 * 86_400
"""What lies under errors/ is kept so long: an older line of the log has no record."""
ONE, MORE = "record not understood", "more records not understood"


def picture(running: Installation) -> Picture:
    """Check everything. A part that does not answer is a trouble itself."""
    status, found = _replication(running)
    found += [Trouble("alarm", name, reason, "docs/runbook.md", since=since) for name, reason, since in alarms(running.name)]
    try:
        for table in carried(running.environment).values():
            found += unreadable(table.name, table.state)
        found += of_refused(running.refusals(EVERYTHING)[0])
    except ReplicationUnreachable as error:
        found.append(Trouble("table statistics", STACK, str(error), f"dm status --env {running.name}, once the replication runs"))
    in_api, files = of_api(running, f"/aws/lambda/dm-control-api-{running.name}-api")
    replication = {"phase": status, "streams": status == RUNNING, "lag_bytes": None, "state": status}
    return Picture((*found, *in_api), files, replication, {}, f"Environment {running.name}, account {running.account}, {running.region}")


def _replication(running: Installation) -> tuple[str, list[Trouble]]:
    """The state of the replication, and a trouble if it does not run."""
    if STACK not in running.outputs:
        reason = f"the stack {STACK} is not deployed, so no change is replicated"
        return "not deployed", [Trouble("replication", STACK, reason, f"dm deploy --env {running.name}")]
    replication = Replication.of(running.outputs[STACK], boto3.client("dms"))
    try:
        status, reason = replication.status()
    except ReplicationFailed as error:
        return "unknown", [Trouble("replication", replication.arn, str(error), "aws dms describe-replications")]
    if status == RUNNING:
        return status, []
    return status, [Trouble("replication", replication.arn, f"{status}{reason and ': '}{reason}", "docs/runbook.md")]


def alarms(environment: str) -> Iterator[tuple[str, str, str]]:
    """Name, reason and time of every alarm of an environment that is on."""
    pages = boto3.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"dm-{environment}-", StateValue="ALARM")
    for page in pages:
        for alarm in page["MetricAlarms"]:
            yield alarm["AlarmName"], alarm["StateReason"], moment(alarm["StateUpdatedTimestamp"])


def refused_in(group: str) -> Iterator[Refused]:
    """The records that the router's log says it refused, with their reasons. The log holds no value of a row."""
    pages = (
        boto3.client("logs")
        .get_paginator("filter_log_events")
        .paginate(
            logGroupName=group,
            startTime=int((time.time() - KEPT_SECONDS) * 1000),
            filterPattern=f'{{ $.message = "{ONE}" || $.message = "{MORE}" }}',
        )
    )
    for page in pages:
        for event in page["events"]:
            yield from _refused(event["message"], datetime.fromtimestamp(event["timestamp"] / 1000, UTC))


def _refused(line: str, at: datetime) -> Iterator[Refused]:
    try:
        told = orjson.loads(line)
    except orjson.JSONDecodeError:
        return  # a line of Lambda's own
    if told.get("message") == ONE:
        place = f"errors/, rawData of SHA-256 {told['raw_sha256']}"
        yield Refused(ROUTER, told.get("table") or NO_TABLE, told["reason"], at, told.get("operation") or "", place=place)
    elif told.get("message") == MORE:
        for reason, count in told["reasons"].items():
            yield from (Refused(ROUTER, NO_TABLE, reason, at) for _ in range(int(count)))
