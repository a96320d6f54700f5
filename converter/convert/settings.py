"""The converter's settings, parsed once from its environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache

DEFAULT_LEASE_SECONDS = 300
DEFAULT_PII_WAIT_SECONDS = 3600
DEFAULT_PII_UNITS_A_DAY = 50_000
"""About 5 US dollars per table and day at the list price of 0.0001 per unit: https://aws.amazon.com/comprehend/pricing/ (2025)."""


@dataclass(frozen=True)
class Settings:
    """The resources and limits of the converter. ``mask_key_secret`` names a secret with 32 bytes in hexadecimal digits."""

    contracts_uri: str
    control_table: str
    lake_bucket: str
    mask_key_secret: str
    lease_seconds: int
    pii_wait_seconds: int
    workers: int
    pii_units_a_day: int = DEFAULT_PII_UNITS_A_DAY


@cache
def settings() -> Settings:
    """The settings of this process. Raises ``KeyError`` with the name of a missing variable."""
    environment = os.environ
    return Settings(
        contracts_uri=environment["CONTRACTS_URI"],
        control_table=environment["CONTROL_TABLE"],
        lake_bucket=environment["LAKE_BUCKET"],
        mask_key_secret=environment["MASK_KEY_SECRET"],
        lease_seconds=int(environment.get("LEASE_SECONDS", DEFAULT_LEASE_SECONDS)),
        pii_wait_seconds=int(environment.get("PII_WAIT_SECONDS", DEFAULT_PII_WAIT_SECONDS)),
        workers=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        pii_units_a_day=int(environment.get("PII_UNITS_A_DAY", DEFAULT_PII_UNITS_A_DAY)),
    )
