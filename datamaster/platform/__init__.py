"""A running installation, on a laptop or in an account: its names, files, tables, pipelines and queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

APPS = ("ingest-router", "converter", "control-api")


@dataclass(frozen=True)
class Platform:
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


def deployed_names(outputs: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """The fields of ``Platform`` that the stacks' outputs, by stack and name, give: all but environment, dsn and API address."""
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
    }
