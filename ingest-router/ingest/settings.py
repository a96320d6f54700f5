"""The settings of the router's functions, read once from their environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache

DEFAULT_LAMBDA_LIMIT = 100_000
DEFAULT_MAX_ATTEMPTS = 3
DEFAULT_UNSETTLED_SECONDS = 10 * 86_400


@dataclass(frozen=True)
class Settings:
    """The environment of the router's functions.

    A Lambda converts files of up to ``lambda_limit`` records. A file fails after ``max_attempts`` conversions that died
    without a reason. A raw object older than ``unsettled_seconds`` that was not settled is reported.
    A function has only the variables that it needs, and the other fields are empty.
    """

    contracts_uri: str
    control_table: str
    stage_bucket: str
    convert_state_machine_arn: str
    lambda_limit: int
    max_attempts: int
    unsettled_seconds: int


@cache
def settings() -> Settings:
    """The settings of this process."""
    return Settings(
        contracts_uri=os.environ.get("CONTRACTS_URI", ""),
        control_table=os.environ.get("CONTROL_TABLE", ""),
        stage_bucket=os.environ.get("STAGE_BUCKET", ""),
        convert_state_machine_arn=os.environ.get("CONVERT_STATE_MACHINE_ARN", ""),
        lambda_limit=int(os.environ.get("CONVERT_LAMBDA_LIMIT", DEFAULT_LAMBDA_LIMIT)),
        max_attempts=int(os.environ.get("MAX_ATTEMPTS", DEFAULT_MAX_ATTEMPTS)),
        unsettled_seconds=int(os.environ.get("UNSETTLED_SECONDS", DEFAULT_UNSETTLED_SECONDS)),
    )
