"""Chalice's entry point. The converter's app and its functions live in ``convert.door``."""

from convert.door import app, convert_file, record_failure

__all__ = ["app", "convert_file", "record_failure"]
