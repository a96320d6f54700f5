"""Athena on this machine: its API in front of DuckDB, over the tables of the Glue catalog.

SQL is parsed as Athena's. Tables in the parsed tree are replaced by scans of the catalog's files, and the rest is translated to DuckDB's
SQL. Statements that would write are refused.
"""
