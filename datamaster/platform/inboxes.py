"""The inboxes of a running installation, and the name under which this process decides on their entries."""

from __future__ import annotations

import boto3

from convert.release import QuarantineInbox
from datamaster.platform import Platform
from ingest.redrive import ErrorsInbox
from lake.contract.store import ContractStore
from lake.control import ControlTable


def errors_inbox(platform: Platform) -> ErrorsInbox:
    """The records that the router refused."""
    stream = boto3.client("kinesis").describe_stream_summary(StreamName=platform.stream_name)["StreamDescriptionSummary"]
    control, contracts = ControlTable(platform.control_table), ContractStore(platform.contracts_uri)
    return ErrorsInbox(platform.stage_bucket, control, contracts, stream["StreamARN"])


def quarantine_inbox(platform: Platform) -> QuarantineInbox:
    """The lines that the converter rejected."""
    return QuarantineInbox(platform.lake_bucket, ControlTable(platform.control_table), ContractStore(platform.contracts_uri))


def caller() -> str:
    """The ARN of this process's credentials."""
    return str(boto3.client("sts").get_caller_identity()["Arn"])
