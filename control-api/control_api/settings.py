"""The API's settings, parsed once from its environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Settings:
    """Names of the resources that the API reads."""

    control_table: str
    contracts_uri: str
    stage_bucket: str
    stream_arn: str


@cache
def settings() -> Settings:
    """The settings of this process. Raises ``KeyError`` with the name of a missing variable."""
    environment = os.environ
    return Settings(
        control_table=environment["CONTROL_TABLE"],
        contracts_uri=environment["CONTRACTS_URI"],
        stage_bucket=environment["STAGE_BUCKET"],
        stream_arn=environment["STREAM_ARN"],
    )
