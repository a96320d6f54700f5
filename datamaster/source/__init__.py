"""The source database: its catalog, what it must have, and contracts for its tables."""
