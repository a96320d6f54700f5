"""The delivery stream is read from the template that deploys it on AWS."""

from __future__ import annotations

from pathlib import Path

import pytest

from datamaster.laptop.delivery.stream import NoDeliveryStream, UnresolvedValue, from_template

TEMPLATE = Path(__file__).parents[3] / "templates" / "streaming-delivery.yaml"
GIVEN = {
    "Environment": "local",
    "StreamArn": "arn:aws:kinesis:eu-west-1:111122223333:stream/changes",
    "StageBucket": "stage",
    "TransformFunctionArn": "arn:aws:lambda:eu-west-1:111122223333:function:transform",
}


def test_the_projects_own_template_describes_the_stream():
    stream = from_template(TEMPLATE, GIVEN)

    assert stream.source_arn == GIVEN["StreamArn"]
    assert stream.bucket == "stage"
    assert stream.prefix == "raw/!{partitionKeyFromLambda:table_name}/contract=!{partitionKeyFromLambda:contract}/"
    assert stream.error_prefix == "errors/!{firehose:error-output-type}/"
    assert stream.function_arn.startswith(GIVEN["TransformFunctionArn"])
    assert (stream.buffer_seconds, stream.request_bytes, stream.retries, stream.compressed) == (60.0, 1 << 20, 300, True)
    assert stream.arn == "arn:aws:firehose:eu-west-1:111122223333:deliverystream/dm-delivery-local"


def test_parameters_win_over_their_defaults():
    assert from_template(TEMPLATE, GIVEN | {"BufferSeconds": "5"}).buffer_seconds == 5.0


def test_a_value_that_nobody_gave_is_named():
    with pytest.raises(UnresolvedValue, match="StageBucket"):
        from_template(TEMPLATE, {name: value for name, value in GIVEN.items() if name != "StageBucket"})


@pytest.mark.parametrize(
    ("resources", "reason"),
    [
        ("  Other: {Type: 'AWS::S3::Bucket'}", "0 resources"),
        ("  D: {Type: 'AWS::KinesisFirehose::DeliveryStream', Properties: {DeliveryStreamName: d}}", "no KinesisStreamSourceConfiguration"),
    ],
)
def test_a_template_without_a_usable_delivery_stream_says_what_is_missing(tmp_path, resources, reason):
    path = tmp_path / "t.yaml"
    path.write_text(f"Resources:\n{resources}\n")

    with pytest.raises(NoDeliveryStream, match=reason):
        from_template(path, {})
