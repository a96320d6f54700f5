"""What AWS would refuse of a deployment, judged on what is sent. Linters and the emulator read more kindly than AWS does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from datamaster.aws.cloudformation.policies import ALLOWED, Request, decide, listed
from datamaster.aws.cloudformation.reading import SHORT_NAMES
from datamaster.aws.cloudformation.rendering import PSEUDO, Template
from datamaster.aws.deploy.lint import Finding
from datamaster.aws.deploy.sent import Sent

TEMPLATE_BYTES, DEFINITION_BYTES, PARAMETER_BYTES = 1_000_000, 1_000_000, 4_096
COUNTS = {"Resources": 500, "Parameters": 200, "Outputs": 200, "Mappings": 200}
"""https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"""
POLICY_CHARACTERS = {"ManagedPolicy": 6_144, "Role": 10_240, "User": 2_048, "trust": 2_048}
"""Blanks apart, of a managed policy, of all inline policies of a role or user, and of a trust policy:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
KEY_ARN = "arn:aws:kms:ap-southeast-2:000000000000:key/00000000-0000-0000-0000-000000000000"
ONE_REGION = {"AWS::BCMDataExports::Export": "us-east-1"}
"""Types that CloudFormation knows in one region alone; a template that names one is refused elsewhere, its condition false or not."""
INTRINSIC = "And Base64 Cidr Equals FindInMap GetAZs GetAtt If ImportValue Join Not Or Select Split Sub"
SHORT_FORMS = frozenset(f"!{name}" for name in (*SHORT_NAMES, *INTRINSIC.split()))
INTERFACES = ("AssignPrivateIpAddresses", "CreateNetworkInterface", "DeleteNetworkInterface", "UnassignPrivateIpAddresses")
"""Lambda asks the role for these before there is an interface: https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html"""
FUNCTIONS = ("AWS::Serverless::Function", "AWS::Lambda::Function")
MOST_RETRIES = "300"
Rule = Callable[[Sent, str], Iterator[str]]


def refusals(sent: Sent) -> list[Finding]:
    """What AWS would refuse, and what it would take and then fail by; empty for a deployment that it takes."""
    name = sent.environment.name
    judged = ((rule, stack) for rule in RULES for stack in sent.bodies)
    found = [Finding(rule.__name__.upper(), said, f"{name}/{stack}") for rule, stack in judged for said in rule(sent, stack)]
    for machine, definition in sent.definitions.items():
        if len(definition) > DEFINITION_BYTES:
            found.append(Finding("DEFINITION", f"{len(definition):,} of {DEFINITION_BYTES:,} bytes", f"{name}/{machine}"))
    return found


def syntax(sent: Sent, stack: str) -> Iterator[str]:
    """CloudFormation reads YAML 1.1 without aliases, and no tags but its own.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html
    """
    for event in yaml.parse(sent.bodies[stack], Loader=yaml.CSafeLoader):
        if anchor := getattr(event, "anchor", None):
            yield f"alias or anchor {anchor}"
        tag = getattr(event, "tag", None)
        if tag and tag not in SHORT_FORMS:
            yield f"tag {tag}"


def sizes(sent: Sent, stack: str) -> Iterator[str]:
    """A template, what it holds, and each parameter's value."""
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
    """Types that the environment's region lacks."""
    for name, resource in sent.rendered[stack].document["Resources"].items():
        if ONE_REGION.get(resource.get("Type", ""), sent.environment.region) != sent.environment.region:
            yield f"{resource['Type']} {name} is not in {sent.environment.region}"


def network(sent: Sent, stack: str) -> Iterator[str]:
    """A function in a network is made only if its role may handle every interface."""
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
    """A template's functions, each with what the template sets for all."""
    everywhere = template.resolved((template.document.get("Globals") or {}).get("Function") or {})
    return {name: everywhere | body for kind in FUNCTIONS for name, body in template.of_type(kind).items()}


def api_logs(sent: Sent, stack: str) -> Iterator[str]:
    """A stage that logs needs the account's role first: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html"""
    logging = any(api.get("AccessLogSetting") for api in sent.rendered[stack].of_type("AWS::Serverless::Api").values())
    if logging and sent.environment.variables["api_account_role"]:
        order = list(sent.bodies)
        if "api-account-role" not in order[: order.index(stack)]:
            yield "the API logs before the account has a role for that"


def policy_lengths(sent: Sent, stack: str) -> Iterator[str]:
    """The lengths of policies, with ARNs of keys as long as they are."""
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
    """Firehose skips a batch when its retries are over, and a function with a reservation is throttled below the account's limit.

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
