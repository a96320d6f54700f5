"""Chalice's entry point. The router's app and its functions live in ``ingest.door``."""

from ingest.door import app, register_files, start_conversions, sweep_files, transform_records

__all__ = ["app", "register_files", "start_conversions", "sweep_files", "transform_records"]
