"""Retries of a commit to a table with several writers."""

from __future__ import annotations

import logging

from pyiceberg.exceptions import CommitFailedException
from tenacity import before_sleep_log, retry, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

ATTEMPTS = 8
FIRST_WAIT_SECONDS = 0.2

retried = retry(
    retry=retry_if_exception_type(CommitFailedException),
    stop=stop_after_attempt(ATTEMPTS),
    wait=wait_exponential_jitter(multiplier=FIRST_WAIT_SECONDS, jitter=FIRST_WAIT_SECONDS),
    before_sleep=before_sleep_log(logging.getLogger(__name__), logging.INFO),
    reraise=True,
)
"""Decorator of a function that loads the table and commits once. It runs again if another commit was faster, and raises in the end."""
