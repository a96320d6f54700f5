"""Athena on this machine: its API in front of DuckDB, over the tables of the Glue catalog.

SQL is read as Athena's, the tables are found on the parsed tree and replaced by scans of what the catalog points to, the
rest is written in DuckDB's words. Statements that would write are refused: the engine's own database is thrown away.
"""
