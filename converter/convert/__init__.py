"""The conversion of gz JSON lines and CSV to Parquet: one engine behind the Lambda, the container and ``dm convert``."""
