"""A running installation, on a laptop or in an account: its names, files, tables, pipelines and queries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3

from lake.errors import TransientError

if TYPE_CHECKING:
    from datamaster.platform.picture import Picture
    from ingest.refused_records import Group, Refused
    from lake.control.inbox import Selection

APPS = ("ingest-router", "converter", "control-api")
STACKS = (*APPS, "storage", "control", "streaming", "consumption", "ingestion", "processing")
"""The stacks that ``deployed_names`` reads."""
SOURCE_VARIABLE = "DM_SOURCE"

Progress = Callable[[str], None]


class SourceOutOfReach(TransientError):
    """This machine has no address of the source."""

    def __init__(self) -> None:
        super().__init__(
            "the source lies in a private network, and its address is not given. Next: open a way to it (a VPN, or aws ssm start-session "
            "--document-name AWS-StartPortForwardingSessionToRemoteHost), then the same command with "
            f"{SOURCE_VARIABLE}=postgresql://USER:PASSWORD@HOST:PORT/DATABASE before it"
        )


@dataclass(frozen=True)
class Platform(ABC):
    """An installation, by the names of its deployed resources.

    ``environment`` holds the variables for its AWS clients, functions and jobs. ``dsn`` is the source's connection string, empty if this
    machine cannot reach it.
    """

    environment: dict[str, str]
    dsn: str
    stage_bucket: str
    lake_bucket: str
    artifacts_bucket: str
    control_table: str
    contracts_uri: str
    stream_name: str
    work_group: str
    state_machines: dict[str, str]
    functions: dict[str, str]
    api_url: str

    @property
    def source(self) -> str:
        """The source's connection string. Raises ``SourceOutOfReach``."""
        if not self.dsn:
            raise SourceOutOfReach
        return self.dsn

    @property
    def capture_slot(self) -> str | None:
        """The replication slot that captures the source's changes. None if only DMS knows it."""
        return None

    @property
    def variables(self) -> dict[str, str]:
        """The process's variables for commands on this installation."""
        names = {"DM_WORK_GROUP": self.work_group, "DM_API_URL": self.api_url, "DM_SWEEP_FUNCTION": self.functions["sweep_files"]}
        return self.environment | names

    @abstractmethod
    def settle(self, progress: Progress) -> Counter[str]:
        """Wait until everything on its way is in bronze, or failed. Returns the number of files by status. Raises ``NotSettled``."""

    @abstractmethod
    def refusals(self, selection: Selection) -> tuple[list[Group], list[Refused]]:
        """Refused rows, grouped and one by one."""

    @abstractmethod
    def picture(self) -> Picture:
        """All troubles. A part that does not answer is a trouble itself."""


def stage_url(api_id: str) -> str:
    """The address of the control API's stage. An emulator serves stages below the address that it has for API Gateway."""
    endpoint = boto3.client("apigateway").meta.endpoint_url
    service, _, domain = urlsplit(endpoint).netloc.partition(".")
    if service == "apigateway":
        return f"https://{api_id}.execute-api.{domain}/v1"
    return f"{endpoint}/restapis/{api_id}/v1/_user_request_"


def deployed_names(outputs: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """The fields of ``Platform`` that the outputs of ``STACKS``, by stack and name, give: all but environment and dsn."""
    storage, artifacts = outputs["storage"], outputs["storage"]["ArtifactsBucket"]
    arns = [arn for app in APPS for name, arn in outputs[app].items() if name.endswith("Arn")]
    return {
        "stage_bucket": storage["StageBucket"],
        "lake_bucket": storage["LakeBucket"],
        "artifacts_bucket": artifacts,
        "control_table": outputs["control"]["TableName"],
        "contracts_uri": f"s3://{artifacts}/contracts/",
        "stream_name": outputs["streaming"]["StreamName"],
        "work_group": outputs["consumption"]["LakeWorkGroup"],
        "state_machines": {
            "convert-file": outputs["ingestion"]["ConvertStateMachineArn"],
            "bronze-to-silver": outputs["processing"]["SilverStateMachineArn"],
            "silver-to-gold": outputs["processing"]["GoldStateMachineArn"],
            "maintenance": outputs["processing"]["MaintenanceStateMachineArn"],
        },
        "functions": {arn.rsplit("-", 1)[-1]: arn.rsplit(":", 1)[-1] for arn in arns},
        "api_url": stage_url(outputs["control-api"]["ApiId"]),
    }
