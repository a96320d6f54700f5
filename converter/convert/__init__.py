"""Conversion of gz JSON lines and CSV to Parquet: one engine for the Lambda function, the container and ``dm convert``."""
