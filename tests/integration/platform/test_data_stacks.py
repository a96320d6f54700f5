"""The stacks that hold data, deployed from their own templates."""

import json

import boto3
import pytest

from datamaster.aws.deploy.change_sets import launch
from datamaster.aws.deploy.deletion import delete
from datamaster.aws.deploy.environments import load_environment
from datamaster.aws.deploy.stacks import launch_order

pytestmark = pytest.mark.integration


def test_a_raw_object_is_announced_on_the_queue_and_any_other_is_not(lake_stacks):
    storage = lake_stacks["storage"]
    s3, sqs = boto3.client("s3"), boto3.client("sqs")

    s3.put_object(Bucket=storage["StageBucket"], Key="errors/x.gz", Body=b"x")
    s3.put_object(Bucket=storage["StageBucket"], Key="raw/beer/x.gz", Body=b"x")

    keys = []
    while messages := sqs.receive_message(QueueUrl=storage["ArrivalsQueueUrl"], MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages"):
        for message in messages:
            keys += [record["s3"]["object"]["key"] for record in json.loads(message["Body"]).get("Records", [])]
            sqs.delete_message(QueueUrl=storage["ArrivalsQueueUrl"], ReceiptHandle=message["ReceiptHandle"])
    assert keys == ["raw/beer/x.gz"]


def test_the_mask_key_is_thirty_two_bytes_in_hexadecimal(lake_stacks):
    secret = boto3.client("secretsmanager").get_secret_value(SecretId=lake_stacks["security"]["MaskKeyArn"])["SecretString"]

    assert len(bytes.fromhex(secret)) == 32


def test_the_control_table_streams_both_images_and_is_indexed_by_table_and_status(lake_stacks):
    table = boto3.client("dynamodb").describe_table(TableName=lake_stacks["control"]["TableName"])["Table"]

    assert table["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    assert {index["IndexName"] for index in table["GlobalSecondaryIndexes"]} == {"by_table", "by_status", "by_table_status"}


def test_every_bucket_is_versioned_and_closed_to_the_public(lake_stacks):
    s3 = boto3.client("s3")
    buckets = [value for name, value in lake_stacks["storage"].items() if name.endswith("Bucket")]

    for bucket in buckets:
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled", bucket
        assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()), bucket
    assert len(buckets) == 5


def test_a_second_launch_changes_nothing(lake_stacks):
    assert launch(load_environment("local"), ["control"])["control"] == lake_stacks["control"]


def test_stacks_are_launched_after_those_they_depend_on():
    order = launch_order(load_environment("local"))
    level = {stack: number for number, stacks in enumerate(order) for stack in stacks}

    assert level["security"] < level["storage"] < level["catalog"]


def test_deleting_the_stacks_leaves_the_data(lake_stacks):
    delete(load_environment("local"), ["security"])

    assert lake_stacks["control"]["TableName"] in boto3.client("dynamodb").list_tables()["TableNames"]
    assert boto3.client("cloudformation").list_stacks(StackStatusFilter=["CREATE_COMPLETE"])["StackSummaries"] == []
