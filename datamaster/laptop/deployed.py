"""Derive the settings of functions and jobs, and the platform's state, from a deployment."""

from __future__ import annotations

from pathlib import Path

import boto3
import orjson

from datamaster.aws.deploy import Deployment
from datamaster.aws.deploy.environments import load_environment
from datamaster.laptop.state import State
from datamaster.platform import deployed_names


def names(deployment: Deployment) -> dict[str, str]:
    """The environment variables of functions, containers and jobs."""
    outputs, variables = deployment.outputs, load_environment(deployment.environment).variables
    storage, artifacts = outputs["storage"], outputs["storage"]["ArtifactsBucket"]
    return {
        "CONTRACTS_URI": f"s3://{artifacts}/contracts/",
        "CONTROL_TABLE": outputs["control"]["TableName"],
        "STAGE_BUCKET": storage["StageBucket"],
        "STREAM_ARN": outputs["streaming"]["StreamArn"],
        "LAKE_BUCKET": storage["LakeBucket"],
        "ARTIFACTS_BUCKET": artifacts,
        "MASK_KEY_SECRET": outputs["security"]["MaskKeyArn"],
        "CONVERT_STATE_MACHINE_ARN": outputs["ingestion"]["ConvertStateMachineArn"],
        "CONVERT_LAMBDA_LIMIT": str(variables["convert_lambda_limit"]),
        "LEASE_SECONDS": str(variables["lease_seconds"]),
        "PII_WAIT_SECONDS": str(variables["pii_wait_seconds"]),
        "DMS_REPLICATION_CONFIG_ARN": str(variables["replication_config_arn"]),
        "POWERTOOLS_SERVICE_NAME": "converter",
        "POWERTOOLS_METRICS_NAMESPACE": "DataMaster",
    }


def bound_functions(build: Path) -> None:
    """Give each function the concurrency that its template asks for: the emulator takes it by its own API call only."""
    functions = boto3.client("lambda")
    for template in (build / "local").glob("*/sam.json"):
        packaged = orjson.loads(template.read_bytes())
        for name, limit in packaged["Mappings"]["Concurrency"]["local"].items():
            function = packaged["Resources"][name]["Properties"]["FunctionName"]["Fn::Sub"].replace("${Environment}", "local")
            functions.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=limit)


def state_of(home: Path, deployment: Deployment, environment: dict[str, str], dsn: str, slot: str, contracts: Path) -> State:
    """The state of a platform that was just deployed."""
    return State(
        **deployed_names(deployment.outputs),
        environment=environment,
        dsn=dsn,
        home=home,
        slot=slot,
        contracts=contracts.absolute(),
    )
