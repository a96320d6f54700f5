"""Firehose's part on this machine: reads the stream, has records transformed, writes raw objects by table and error objects by kind.

``python -m datamaster.laptop.delivery --template FILE --parameter NAME=VALUE ... --state DIRECTORY``
"""

from datamaster.laptop.delivery.progress import flushed, wait_until_delivered
from datamaster.laptop.delivery.stream import DeliveryStream, from_template

__all__ = ["DeliveryStream", "flushed", "from_template", "wait_until_delivered"]
