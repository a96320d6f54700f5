"""The Spark jobs: ``silver`` merges, ``derived`` rebuilds, ``upkeep`` maintains, and all share ``iceberg``."""
