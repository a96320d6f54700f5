"""Chalice's entry: the control API and its scheduled report live in ``control_api.door``."""

from control_api.door import app, get_file, get_files, get_health, get_tables, post_retry, report_state

__all__ = ["app", "get_file", "get_files", "get_health", "get_tables", "post_retry", "report_state"]
