"""The plan and settle functions of the state machines bronze-to-silver, silver-to-gold and maintenance."""

from __future__ import annotations

from typing import Any

from chalice.app import Blueprint

from batches.maintenance_batches import KEEP_DAYS, Maintenance
from batches.plan import Planner
from batches.settings import batch_settings
from batches.settle import Settler

batch_functions = Blueprint("app")
"""Lambda must enter every function through app.py, as ``app.plan_silver``. Only then does the middleware of ``lake.telemetry`` run."""


@batch_functions.lambda_function(name="plan_silver")
def plan_silver(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """``{"execution", "input": {"tables"?}}`` → the batches to merge and the tables to skip."""
    tables = (event.get("input") or {}).get("tables")
    return Planner.of(batch_settings(), event["execution"]).silver(tables).answer()


@batch_functions.lambda_function(name="settle_silver")
def settle_silver(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """``{"execution"}`` with a batch of plan_silver, and ``error`` if its job failed → the batch's result."""
    return Settler.of(batch_settings(), event["execution"]).silver(event)


@batch_functions.lambda_function(name="plan_review_flat")
def plan_review_flat(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """``{"execution"}`` → a batch for each derived table of dm_silver that has months to rebuild."""
    return Planner.of(batch_settings(), event["execution"]).derived("silver").answer()


@batch_functions.lambda_function(name="settle_review_flat")
def settle_review_flat(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """``{"execution"}`` with a batch of plan_review_flat, and ``error`` if its job failed → the batch's result."""
    return Settler.of(batch_settings(), event["execution"]).derived("silver", event)


@batch_functions.lambda_function(name="plan_gold")
def plan_gold(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """``{"execution"}`` → a batch for each gold table that has months to rebuild."""
    return Planner.of(batch_settings(), event["execution"]).derived("gold").answer()


@batch_functions.lambda_function(name="settle_gold")
def settle_gold(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """``{"execution"}`` with a batch of plan_gold, and ``error`` if its job failed → the batch's result."""
    return Settler.of(batch_settings(), event["execution"]).derived("gold", event)


@batch_functions.lambda_function(name="plan_maintenance")
def plan_maintenance(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """``{"execution", "input": {"tables"?, "keep_days"?}}`` → a batch for each table to maintain, and the tables to skip."""
    asked = event.get("input") or {}
    maintenance = Maintenance.of(batch_settings(), event["execution"])
    return maintenance.plan(asked.get("tables"), asked.get("keep_days", KEEP_DAYS)).answer()


@batch_functions.lambda_function(name="settle_maintenance")
def settle_maintenance(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """``{"execution"}`` with a batch of plan_maintenance, and ``error`` if its job failed → the changes to its tables."""
    return Maintenance.of(batch_settings(), event["execution"]).settle(event)
