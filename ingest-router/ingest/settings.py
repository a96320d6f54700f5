"""What the functions are told by their environment, read once."""

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

    ``lambda_limit`` is the number of records up to which a file is converted by a Lambda, ``max_attempts`` how often a
    conversion may die without a word before its file is failed, ``unsettled_seconds`` the age from which a raw object that was
    not settled is told. A function sees only the names it needs; the others are empty.
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
