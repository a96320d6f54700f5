"""The Iceberg catalog: table definitions, snapshots, files, staging tables."""
