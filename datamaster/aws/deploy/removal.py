"""Remove an environment. The stacks that hold data stay unless the data is to be deleted too."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import ClientError
from tenacity import retry, retry_if_exception, stop_after_attempt, wait_fixed

from datamaster.aws.deploy.deletion import delete
from datamaster.aws.deploy.environments import Environment
from datamaster.aws.deploy.replication import STACK, Replication
from datamaster.aws.deploy.stacks import cloudformation, deployed, launch_order, levels, outputs_of
from datamaster.aws.deploy.watch import UNWATCHED, Watch
from lake.errors import TerminalError

# These and their dependencies hold the data to keep: the lake, its keys, its catalog, and the audit trail.
DATA_STACKS = ("catalog", "control", "audit")
KEY_WAITING_DAYS = 7  # KMS's minimum. A deletion can be cancelled until then.
BUCKET_ATTEMPTS = 6
BUCKET_SECONDS = 10.0
WRITTEN_LATE = {
    "ingestion": ("/aws/ecs/containerinsights/dm-converter-{}/performance",),
    "database": ("/aws/rds/cluster/dm-source-{}/postgresql",),
    "streaming-dms": ("dms-serverless-replication-dm-{}", "dms-tasks-dm-{}"),
}
"""Log groups that services create themselves, by stack. A test compares the names with the templates."""
NEVER_MADE = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "REVIEW_IN_PROGRESS", "CREATE_FAILED")


class Protected(TerminalError):
    """The environment's file forbids deletion."""

    def __init__(self, environment: str) -> None:
        super().__init__(
            f"environments/{environment}.yaml protects it from deletion. Next: set termination_protection: false there, then again"
        )


class DataHeld(TerminalError):
    """A named stack holds data, and the data is to be kept."""

    def __init__(self, stacks: Collection[str]) -> None:
        super().__init__(f"{', '.join(stacks)}: data lies there, so these stay. Next: name --delete-data too if the data is to go")


class NotRemoved(TerminalError):
    """A resource that a deleted stack left behind could not be removed."""

    def __init__(self, kind: str, name: str, reason: str) -> None:
        super().__init__(f"{kind} {name} is still there: {reason}. Next: dm destroy --delete-data again, or remove it by hand")


@dataclass(frozen=True)
class Kept:
    """A resource that outlived its stack because of its DeletionPolicy. ``name`` is CloudFormation's physical id."""

    kind: str
    name: str


@dataclass(frozen=True)
class Removal:
    """The stacks that a removal deletes, last launched first, and those that stay because they hold data."""

    going: tuple[str, ...]
    staying: tuple[str, ...]


def removal(environment: Environment, stacks: Collection[str] = (), *, delete_data: bool = False) -> Removal:
    """The stacks that a removal would delete and keep. Raises ``Protected``, ``DataHeld``, ``UnknownStack``."""
    if environment.variables.get("termination_protection"):
        raise Protected(environment.name)
    there = deployed(environment)
    never_made = {name for name, stack in there.items() if stack["StackStatus"] in NEVER_MADE}
    every = {name for level in launch_order(environment) for name in level}
    holding = {name for level in launch_order(environment, every & set(DATA_STACKS)) for name in level}
    held = set() if delete_data else holding - never_made
    if named := [name for name in stacks if name in held]:
        raise DataHeld(named)
    order = [stack.name for level in levels(environment, stacks, reverse=True) for stack in level]
    going = [name for name in order if name in there and name not in held]
    staying = [name for name in there if name in held and not stacks]
    return Removal(tuple(going), tuple(sorted(staying)))


def destroy(environment: Environment, what: Removal, watch: Watch = UNWATCHED) -> list[str]:
    """Stop the replication if its stack is deleted, and delete stacks, each after its dependents. Returns their names.

    Raises ``StackFailed`` and ``ReplicationFailed``.
    """
    described = deployed(environment).get(STACK) if STACK in what.going else None
    if described and (outputs := outputs_of(described)):
        watch.progress("replication of the source")
        replication = Replication.of(outputs, boto3.client("dms", region_name=environment.region))
        replication.stop(float(environment.variables["poll_seconds"]))
    gone = delete(environment, what.going, spared=what.staying, watch=watch)
    _remove_logs(boto3.client("logs", region_name=environment.region), environment.name, gone)
    return gone


def _remove_logs(logs: Any, environment: str, stacks: Collection[str]) -> None:
    """Delete log groups that services created again after their stack's deletion. The next deployment could not create them otherwise."""
    for stack in stacks:
        for pattern in WRITTEN_LATE.get(stack, ()):
            with suppress(logs.exceptions.ResourceNotFoundException):
                logs.delete_log_group(logGroupName=pattern.format(environment))


def left_behind(environment: Environment) -> list[Kept]:
    """Resources of deleted stacks that still exist: buckets, tables, keys, snapshots.

    CloudFormation keeps the events of a deleted stack for 90 days.
    """
    client = cloudformation(environment)
    prefix = f"dm-{environment.name}-"
    gone = [
        summary["StackId"]
        for page in client.get_paginator("list_stacks").paginate(StackStatusFilter=["DELETE_COMPLETE"])
        for summary in page["StackSummaries"]
        if summary["StackName"].startswith(prefix)
    ]
    found = {kept: None for stack in gone for kept in _skipped(client, stack)}
    removers = _removers(environment)
    return [kept for kept in found if kept.kind not in removers or removers[kept.kind].there(kept.name)]


def _skipped(client: Any, stack: str) -> Iterator[Kept]:
    for page in client.get_paginator("describe_stack_events").paginate(StackName=stack):
        for event in page["StackEvents"]:
            clusters = event["ResourceType"] == "AWS::RDS::DBCluster" and event["ResourceStatus"] == "DELETE_COMPLETE"
            if event["ResourceStatus"] == "DELETE_SKIPPED" or clusters:
                yield Kept(event["ResourceType"], event["PhysicalResourceId"])


def delete_data(environment: Environment, watch: Watch = UNWATCHED) -> list[Kept]:
    """Remove the resources that deleted stacks left, with every version of every object. Returns them.

    KMS deletes a key after a waiting period. Raises ``NotRemoved``.
    """
    removers = _removers(environment)
    found = sorted(left_behind(environment), key=lambda kept: (kept.kind == "AWS::KMS::Key", kept.kind, kept.name))
    unknown = [kept for kept in found if kept.kind not in removers]
    for kept in found:
        if kept in unknown:
            continue
        watch.progress(f"{kept.kind} {kept.name}")
        try:
            removers[kept.kind].remove(kept.name)
        except ClientError as error:
            raise NotRemoved(kept.kind, kept.name, str(error)) from error
    if unknown:
        names = ", ".join(kept.name for kept in unknown)
        raise NotRemoved(unknown[0].kind, names, "this project does not know how such a thing is removed; all else is gone")
    return found


@dataclass(frozen=True)
class Remover:
    """``there`` checks whether a resource of a type exists. ``remove`` removes it."""

    there: Callable[[str], bool]
    remove: Callable[[str], None]


def _removers(environment: Environment) -> dict[str, Remover]:
    """Removers by CloudFormation's type, for every type that a template retains."""
    region = environment.region

    def client(service: str) -> Any:
        return boto3.client(service, region_name=region)

    s3, dynamodb, kms, secrets, glue, rds = (client(name) for name in ("s3", "dynamodb", "kms", "secretsmanager", "glue", "rds"))
    functions, ecs = client("lambda"), client("ecs")
    return {
        "AWS::S3::Bucket": Remover(lambda name: _answers(s3.head_bucket, Bucket=name), lambda name: _remove_bucket(s3, name)),
        "AWS::DynamoDB::Table": Remover(
            lambda name: _answers(dynamodb.describe_table, TableName=name), lambda name: _remove_table(dynamodb, name)
        ),
        "AWS::KMS::Key": Remover(
            lambda name: _in_use(kms, name), lambda name: kms.schedule_key_deletion(KeyId=name, PendingWindowInDays=KEY_WAITING_DAYS)
        ),
        "AWS::SecretsManager::Secret": Remover(
            lambda name: _answers(secrets.describe_secret, SecretId=name),
            lambda name: secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True),
        ),
        "AWS::Glue::Database": Remover(lambda name: _answers(glue.get_database, Name=name), lambda name: glue.delete_database(Name=name)),
        "AWS::Lambda::LayerVersion": Remover(
            lambda arn: _answers(functions.get_layer_version_by_arn, Arn=arn),
            lambda arn: functions.delete_layer_version(LayerName=arn.rsplit(":", 1)[0], VersionNumber=int(arn.rsplit(":", 1)[1])),
        ),
        "AWS::ECS::TaskDefinition": Remover(
            lambda arn: bool(ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]["status"] == "ACTIVE"),
            lambda arn: ecs.deregister_task_definition(taskDefinition=arn),
        ),
        # API Gateway's logging role belongs to the account, as dm-api-logs-<region>. Other APIs use it too.
        "AWS::IAM::Role": Remover(lambda _name: False, lambda _name: None),
        "AWS::ApiGateway::Account": Remover(lambda _name: False, lambda _name: None),
        "AWS::RDS::DBCluster": Remover(lambda name: bool(_snapshots(rds, name)), lambda name: _remove_snapshots(rds, name)),
    }


def _answers(describe: Callable[..., Any], **what: str) -> bool:
    """Whether a resource exists. Raises ``ClientError`` if AWS gives another error."""
    try:
        describe(**what)
    except ClientError as error:
        if error.response["Error"]["Code"] in (
            "404",
            "NoSuchBucket",
            "ResourceNotFoundException",
            "NotFoundException",
            "EntityNotFoundException",
        ):
            return False
        raise
    return True


def _in_use(kms: Any, key: str) -> bool:
    """Whether a key exists and is not yet scheduled for deletion."""
    try:
        state = kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"]
    except kms.exceptions.NotFoundException:
        return False
    return bool(state != "PendingDeletion")


def _is_filled(error: BaseException) -> bool:
    return isinstance(error, ClientError) and error.response["Error"]["Code"] == "BucketNotEmpty"


@retry(retry=retry_if_exception(_is_filled), stop=stop_after_attempt(BUCKET_ATTEMPTS), wait=wait_fixed(BUCKET_SECONDS), reraise=True)
def _remove_bucket(s3: Any, bucket: str) -> None:
    """Empty and delete a bucket. Retry if services still deliver logs to it."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        entries = page.get("Versions", []) + page.get("DeleteMarkers", [])
        objects = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in entries]
        if objects:
            answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
            for error in answer.get("Errors", [])[:1]:
                raise NotRemoved("AWS::S3::Bucket", bucket, f"{error['Key']}: {error.get('Message', error.get('Code'))}")
    s3.delete_bucket(Bucket=bucket)


def _remove_table(dynamodb: Any, table: str) -> None:
    if dynamodb.describe_table(TableName=table)["Table"].get("DeletionProtectionEnabled"):
        dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
        dynamodb.get_waiter("table_exists").wait(TableName=table)
    dynamodb.delete_table(TableName=table)


def _snapshots(rds: Any, cluster: str) -> list[str]:
    pages = rds.get_paginator("describe_db_cluster_snapshots").paginate(DBClusterIdentifier=cluster, SnapshotType="manual")
    with suppress(rds.exceptions.DBClusterNotFoundFault):
        return [snapshot["DBClusterSnapshotIdentifier"] for page in pages for snapshot in page["DBClusterSnapshots"]]
    return []


def _remove_snapshots(rds: Any, cluster: str) -> None:
    for snapshot in _snapshots(rds, cluster):
        rds.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=snapshot)
