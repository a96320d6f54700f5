"""The source database: its schema, the data and changes that a demonstration needs, and what a user's own must have."""
