"""Chalice's entry point. The control API lives in ``control_api.door``, plan and settle functions in ``batches.functions``."""

from batches.functions import (
    plan_gold,
    plan_maintenance,
    plan_review_flat,
    plan_silver,
    settle_gold,
    settle_maintenance,
    settle_review_flat,
    settle_silver,
)
from control_api.door import (
    app,
    get_error_records,
    get_errors,
    get_file,
    get_files,
    get_health,
    get_tables,
    post_drop,
    post_redrive,
    post_retry,
    report_state,
)

__all__ = [
    "app",
    "get_error_records",
    "get_errors",
    "get_file",
    "get_files",
    "get_health",
    "get_tables",
    "plan_gold",
    "plan_maintenance",
    "plan_review_flat",
    "plan_silver",
    "post_drop",
    "post_redrive",
    "post_retry",
    "report_state",
    "settle_gold",
    "settle_maintenance",
    "settle_review_flat",
    "settle_silver",
]
