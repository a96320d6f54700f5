"""The silver job: merges a batch of bronze files into its silver table and keeps history, key index and quality rules."""
