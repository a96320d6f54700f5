"""AWS clients that a process creates once. Creating one takes tens of milliseconds of CPU, most calls take a few.

They belong to boto3's default session. A new default session gets new clients. boto3 is imported on first use.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any


def s3() -> Any:
    """The process's S3 client."""
    return _client(_session())


def dynamodb() -> Any:
    """The process's DynamoDB resource. Each thread takes table resources of its own from it."""
    return _resource(_session())


def forget() -> None:
    """Drop the clients, because the variables with the services' addresses have changed. The next use creates new ones."""
    _client.cache_clear()
    _resource.cache_clear()


def _session() -> Any:
    import boto3

    if boto3.DEFAULT_SESSION is None:
        boto3.setup_default_session()
    return boto3.DEFAULT_SESSION


@lru_cache(maxsize=1)
def _client(session: Any) -> Any:
    return session.client("s3")


@lru_cache(maxsize=1)
def _resource(session: Any) -> Any:
    return session.resource("dynamodb")
