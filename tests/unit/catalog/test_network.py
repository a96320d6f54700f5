"""Without a NAT gateway a function reaches a service by its door alone: each that the code calls has one."""

import re

import pytest

from datamaster.aws.cloudformation.rendering import Template
from datamaster.project import PROJECT

DOORS = {"stepfunctions": "states", "kinesis": "kinesis-streams"}
NEEDED_BY_AWS = {"kms", "sts", "logs", "monitoring", "ecr.api", "ecr.dkr", "athena", "glue"}
"""What encryption, roles, logs, metrics, images, queries and tables go through without a client of the code's own."""
NETWORK = Template(PROJECT / "templates" / "network.yaml", {"Endpoints": "endpoints"})


def doors():
    endpoints = NETWORK.of_type("AWS::EC2::VPCEndpoint").values()
    return {body["ServiceName"].removeprefix("com.amazonaws.us-east-1."): body for body in endpoints}


def test_every_service_that_the_code_calls_has_a_door():
    called = set()
    for folder in ("ingest-router", "converter", "control-api", "lake", "emr-jobs"):
        for path in (PROJECT / folder).rglob("*.py"):
            called |= set(re.findall(r'(?:boto3|session)\.(?:client|resource)\("([a-z0-9-]+)"\)', path.read_text()))
    assert called >= {"s3", "dynamodb", "dms", "comprehend", "secretsmanager", "stepfunctions", "kinesis"}
    assert set(doors()) == {DOORS.get(service, service) for service in called} | NEEDED_BY_AWS


def test_the_doors_of_s3_and_dynamodb_are_free_and_the_others_open_to_workers_only():
    assert {name for name, body in doors().items() if body["VpcEndpointType"] == "Gateway"} == {"s3", "dynamodb"}
    groups = NETWORK.of_type("AWS::EC2::SecurityGroup")
    for name in ("Doors", "Database"):
        [rule] = groups[name]["SecurityGroupIngress"]
        assert rule["SourceSecurityGroupId"] == "<Workers>"


def test_the_zones_are_the_regions_first_two_unless_the_environment_names_others():
    def zones(**given):
        template = Template(PROJECT / "templates" / "network.yaml", given)
        return [subnet["AvailabilityZone"] for subnet in template.of_type("AWS::EC2::Subnet").values()]

    assert zones(ZoneA="us-east-1c", ZoneB="us-east-1d") == ["us-east-1c", "us-east-1d"]
    first, second = zones()
    assert first != second


def test_without_doors_that_are_paid_for_a_nat_takes_their_place_but_for_those_that_dms_demands():
    """https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Serverless.Limitations.html"""
    for endpoints, zones in (("nat", 2), ("public", 1)):
        template = Template(PROJECT / "templates" / "network.yaml", {"Endpoints": endpoints})
        kept = {body["ServiceName"].rsplit(".", 1)[-1]: body for body in template.of_type("AWS::EC2::VPCEndpoint").values()}
        assert kept.keys() == {"s3", "dynamodb", "kinesis-streams", "secretsmanager"}
        assert [len(kept[name]["SubnetIds"]) for name in ("kinesis-streams", "secretsmanager")] == [zones, zones]


@pytest.mark.parametrize(("out", "gateways", "subnets"), [("none", 0, 0), ("nat", 1, 1), ("public", 0, 1)])
def test_the_way_out_of_the_network(out, gateways, subnets):
    template = Template(PROJECT / "templates" / "network-nat.yaml", {"Out": out})
    assert (len(template.of_type("AWS::EC2::NatGateway")), len(template.of_type("AWS::EC2::Subnet"))) == (gateways, subnets)
