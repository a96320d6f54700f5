"""Batch export: reads a table of the source in one snapshot and writes CSV objects under raw/. ``task`` is its command."""
