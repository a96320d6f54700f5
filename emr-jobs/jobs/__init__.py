"""The Spark jobs' code: ``silver`` merges, ``derived`` rebuilds, ``upkeep`` maintains, ``iceberg`` is what they share."""
