"""A running installation, on a laptop or in an account: its files, tables, pipelines and queries."""
