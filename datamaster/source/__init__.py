"""The source database: its catalog, its requirements, and contracts for its tables."""
