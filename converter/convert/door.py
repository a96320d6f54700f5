"""The converter's Lambda functions: convert a file, and record the reason of a failed conversion."""

from __future__ import annotations

from functools import cache
from typing import Any

from chalice.app import Chalice

from convert.conversion import Converter
from convert.failure import reason
from convert.settings import settings
from lake.telemetry import observe

app = Chalice(app_name="dm-converter")
observe(app)


@cache
def converter() -> Converter:
    """The converter of this execution environment, created by the first call."""
    return Converter(settings())


@app.lambda_function(name="convert_file")
def convert_file(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Convert one file. The event holds ``file_id`` and ``execution``, and the answer is the attempt's summary."""
    return converter().run(event["file_id"], event["execution"]).asdict()


@app.lambda_function(name="record_failure")
def record_failure(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """The Catch target of convert-file: ``file_id``, ``execution`` and ``error`` with ``Error`` and ``Cause``."""
    return converter().record_failure(event["file_id"], event["execution"], *reason(event.get("error") or {})).asdict()
