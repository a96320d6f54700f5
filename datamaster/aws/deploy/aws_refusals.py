"""Find everything that AWS would refuse in a deployment, from the bytes it sends. Linters and the emulator are more lenient than AWS."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from datamaster.aws.cloudformation.policies import ALLOWED, Request, decide, listed
from datamaster.aws.cloudformation.reading import SHORT_NAMES
from datamaster.aws.cloudformation.rendering import PSEUDO, Template
from datamaster.aws.deploy.lint import LintFinding
from datamaster.aws.deploy.sent import Sent

TEMPLATE_BYTES, DEFINITION_BYTES, PARAMETER_BYTES = 1_000_000, 1_000_000, 4_096
COUNTS = {"Resources": 500, "Parameters": 200, "Outputs": 200, "Mappings": 200}
"""https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"""
POLICY_CHARACTERS = {"ManagedPolicy": 6_144, "Role": 10_240, "User": 2_048, "trust": 2_048}
"""Characters without blanks, of a managed policy, of all inline policies of a role or user, and of a trust policy:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
KEY_ARN = "arn:aws:kms:ap-southeast-2:000000000000:key/00000000-0000-0000-0000-000000000000"
ONE_REGION = {"AWS::BCMDataExports::Export": "us-east-1"}
"""Types that CloudFormation knows in one region only. Other regions refuse a template that names one, even under a false condition."""
INTRINSIC = "And Base64 Cidr Equals FindInMap GetAZs GetAtt If ImportValue Join Not Or Select Split Sub"
SHORT_FORMS = frozenset(f"!{name}" for name in (*SHORT_NAMES, *INTRINSIC.split()))
INTERFACES = ("AssignPrivateIpAddresses", "CreateNetworkInterface", "DeleteNetworkInterface", "UnassignPrivateIpAddresses")
"""Lambda needs these rights before there is an interface: https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html"""
FUNCTIONS = ("AWS::Serverless::Function", "AWS::Lambda::Function")
MOST_RETRIES = "300"
Rule = Callable[[Sent, str], Iterator[str]]


def refusals(sent: Sent) -> list[LintFinding]:
    """Findings that AWS would refuse, or accept and fail on later. A valid deployment has none."""
    name = sent.environment.name
    judged = ((rule, stack) for rule in RULES for stack in sent.bodies)
    found = [LintFinding(rule.__name__.upper(), said, f"{name}/{stack}") for rule, stack in judged for said in rule(sent, stack)]
    for machine, definition in sent.definitions.items():
        if len(definition) > DEFINITION_BYTES:
            found.append(LintFinding("DEFINITION", f"{len(definition):,} of {DEFINITION_BYTES:,} bytes", f"{name}/{machine}"))
    return found


def syntax(sent: Sent, stack: str) -> Iterator[str]:
    """CloudFormation reads YAML 1.1 without aliases, and only its own tags.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html
    """
    for event in yaml.parse(sent.bodies[stack], Loader=yaml.CSafeLoader):
        if anchor := getattr(event, "anchor", None):
            yield f"alias or anchor {anchor}"
        tag = getattr(event, "tag", None)
        if tag and tag not in SHORT_FORMS:
            yield f"tag {tag}"


def sizes(sent: Sent, stack: str) -> Iterator[str]:
    """A template, its parts, or a parameter's value is too large."""
    document = sent.rendered[stack].document
    size = len(sent.bodies[stack].encode())
    if size > TEMPLATE_BYTES:
        yield f"{size:,} of {TEMPLATE_BYTES:,} bytes"
    for part, limit in COUNTS.items():
        if len(document.get(part) or ()) > limit:
            yield f"{len(document[part])} of {limit} {part}"
    for name, value in sent.parameters[stack].items():
        if len(value.encode()) > PARAMETER_BYTES:
            yield f"parameter {name} has {len(value.encode()):,} of {PARAMETER_BYTES:,} bytes"


def regions(sent: Sent, stack: str) -> Iterator[str]:
    """The template has types that the environment's region lacks."""
    for name, resource in sent.rendered[stack].document["Resources"].items():
        if ONE_REGION.get(resource.get("Type", ""), sent.environment.region) != sent.environment.region:
            yield f"{resource['Type']} {name} is not in {sent.environment.region}"


def network(sent: Sent, stack: str) -> Iterator[str]:
    """Lambda only creates a function in a network if its role may manage every interface."""
    template = sent.rendered[stack]
    for name, function in functions(template).items():
        if not function.get("VpcConfig"):
            continue
        policies = template.policies_of(str(template.document["Resources"][name]["Properties"]["Role"]["Fn::GetAtt"][0]))
        place = f"arn:aws:ec2:{PSEUDO['AWS::Region']}:{PSEUDO['AWS::AccountId']}:*/*"
        for action in INTERFACES:
            if decide(policies, Request(f"ec2:{action}", place)) != ALLOWED:
                yield f"{name}: its role may not ec2:{action} on every resource of the account"


def functions(template: Template) -> dict[str, dict[str, Any]]:
    """A template's functions, each merged with the template's globals."""
    everywhere = template.resolved((template.document.get("Globals") or {}).get("Function") or {})
    return {name: everywhere | body for kind in FUNCTIONS for name, body in template.of_type(kind).items()}


def api_logs(sent: Sent, stack: str) -> Iterator[str]:
    """A stage with logs needs the account's role: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html"""
    logging = any(api.get("AccessLogSetting") for api in sent.rendered[stack].of_type("AWS::Serverless::Api").values())
    if logging and sent.environment.variables["api_account_role"]:
        order = list(sent.bodies)
        if "api-account-role" not in order[: order.index(stack)]:
            yield "the API logs before the account has a role for that"


def policy_lengths(sent: Sent, stack: str) -> Iterator[str]:
    """A policy is too long, counted with key ARNs of full length."""
    template = sent.rendered[stack]
    for kind in ("ManagedPolicy", "Role", "User"):
        for name, body in template.of_type(f"AWS::IAM::{kind}").items():
            documents = (
                [body["PolicyDocument"]] if kind == "ManagedPolicy" else [entry["PolicyDocument"] for entry in body.get("Policies", [])]
            )
            yield from _long(name, kind, documents)
            yield from _long(name, "trust", listed(body.get("AssumeRolePolicyDocument")))


def _long(name: str, kind: str, documents: list[Mapping[str, Any]]) -> Iterator[str]:
    text = re.sub(r"<\w+\.Arn>", KEY_ARN, "".join(json.dumps(document) for document in documents))
    size = len(re.sub(r"\s", "", text))
    if size > POLICY_CHARACTERS[kind]:
        yield f"{name}: {size:,} of {POLICY_CHARACTERS[kind]:,} characters ({kind})"


def delivery(sent: Sent, stack: str) -> Iterator[str]:
    """Firehose needs the most retries and a function without a reservation.

    It skips a batch after its last retry, and AWS throttles a function with a reservation below the account's limit.
    https://docs.aws.amazon.com/firehose/latest/dev/data-transformation-failure-handling.html
    """
    for name, stream in sent.rendered[stack].of_type("AWS::KinesisFirehose::DeliveryStream").items():
        for processor in stream["ExtendedS3DestinationConfiguration"]["ProcessingConfiguration"]["Processors"]:
            settings = {entry["ParameterName"]: str(entry["ParameterValue"]) for entry in processor["Parameters"]}
            if settings.get("NumberOfRetries") != MOST_RETRIES:
                yield f"{name}: NumberOfRetries is {settings.get('NumberOfRetries')}, and {MOST_RETRIES} is the most"
    for name, function in functions(sent.rendered[stack]).items():
        if str(function.get("FunctionName")).endswith("-transform_records") and "ReservedConcurrentExecutions" in function:
            yield f"{name}: a reservation lets Firehose be throttled"


RULES: tuple[Rule, ...] = (syntax, sizes, regions, network, api_logs, policy_lengths, delivery)
