"""A delivery stream's settings, read from the template that deploys it on AWS.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-kinesisfirehose-deliverystream.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datamaster.aws.cloudformation.rendering import Template
from lake.errors import TerminalError

RESOURCE = "AWS::KinesisFirehose::DeliveryStream"
MEGABYTE = 1 << 20
DEFAULT_RETRIES = 3
_PROCESSOR_PARAMETERS = ("LambdaArn", "BufferSizeInMBs", "NumberOfRetries")
_PLACEHOLDER = re.compile(r"<([\w.]+)>")
_NEEDED = (
    "DeliveryStreamName",
    "KinesisStreamSourceConfiguration.KinesisStreamARN",
    "ExtendedS3DestinationConfiguration.BucketARN",
    "ExtendedS3DestinationConfiguration.Prefix",
    "ExtendedS3DestinationConfiguration.ErrorOutputPrefix",
)


class UnresolvedValue(TerminalError):
    """A property refers to a parameter that has no value."""

    def __init__(self, name: str) -> None:
        super().__init__(f'template value "{name}" is not known; give --parameter {name}=VALUE')


class NoDeliveryStream(TerminalError):
    """The template does not describe exactly one delivery stream that this worker can stand in for."""


@dataclass(frozen=True)
class DeliveryStream:
    """A delivery stream from Kinesis through a Lambda to S3.

    ``buffer_seconds`` and ``buffer_bytes`` bound one raw object (bytes before compression), ``request_bytes`` the records of
    one invocation, ``retries`` how often a failed one is repeated.
    """

    name: str
    source_arn: str
    bucket: str
    prefix: str
    error_prefix: str
    function_arn: str
    buffer_seconds: float = 300.0
    buffer_bytes: int = 5 * MEGABYTE
    request_bytes: int = MEGABYTE
    retries: int = DEFAULT_RETRIES
    compressed: bool = True
    extension: str = ""
    region: str = "us-east-1"
    account: str = "000000000000"

    @property
    def arn(self) -> str:
        """The name that the transformation function reads in its event."""
        return f"arn:aws:firehose:{self.region}:{self.account}:deliverystream/{self.name}"


def from_template(path: Path, parameters: Mapping[str, str]) -> DeliveryStream:
    """Read the one delivery stream of a template.

    Raises ``NoDeliveryStream``, and ``UnresolvedValue`` if a property that matters refers to a value not in ``parameters``.
    """
    found = Template(path, parameters).of_type(RESOURCE)
    if len(found) != 1:
        raise NoDeliveryStream(f"{path.name}: {len(found)} resources of type {RESOURCE}; expected one")
    ((logical, properties),) = found.items()

    def read(dotted: str) -> Any:
        value: Any = properties
        for part in dotted.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return _given(value)

    for name in _NEEDED:
        if not read(name):
            raise NoDeliveryStream(f"{path.name}: {logical} has no {name}")
    destination = "ExtendedS3DestinationConfiguration."
    processing = properties["ExtendedS3DestinationConfiguration"].get("ProcessingConfiguration", {})
    processor = _lambda_processor(path, logical, processing)
    source = str(read("KinesisStreamSourceConfiguration.KinesisStreamARN"))
    return DeliveryStream(
        name=str(read("DeliveryStreamName")),
        source_arn=source,
        bucket=str(read(destination + "BucketARN")).rpartition(":")[2],
        prefix=str(read(destination + "Prefix")),
        error_prefix=str(read(destination + "ErrorOutputPrefix")),
        function_arn=processor["LambdaArn"],
        buffer_seconds=float(read(destination + "BufferingHints.IntervalInSeconds") or 300),
        buffer_bytes=int(float(read(destination + "BufferingHints.SizeInMBs") or 5) * MEGABYTE),
        request_bytes=int(float(processor.get("BufferSizeInMBs", 1)) * MEGABYTE),
        retries=int(processor.get("NumberOfRetries", DEFAULT_RETRIES)),
        compressed=read(destination + "CompressionFormat") == "GZIP",
        extension=str(read(destination + "FileExtension") or ""),
        region=source.split(":")[3],
        account=source.split(":")[4],
    )


def _lambda_processor(path: Path, logical: str, processing: Mapping[str, Any]) -> dict[str, str]:
    if str(processing.get("Enabled")).lower() == "true":
        for processor in processing["Processors"]:
            if processor["Type"] == "Lambda":
                given = {entry["ParameterName"]: entry["ParameterValue"] for entry in processor["Parameters"]}
                return {name: str(_given(given[name])) for name in _PROCESSOR_PARAMETERS if name in given}
    raise NoDeliveryStream(f"{path.name}: {logical} has no enabled processor of type Lambda")


def _given(value: Any) -> Any:
    """The value, unless it holds the "<name>" that stands for a parameter without a value."""
    if isinstance(value, str) and (missing := _PLACEHOLDER.search(value)):
        raise UnresolvedValue(missing[1])
    return value
