"""Merging a batch of bronze files into its silver table, with history, key index and quality rules."""
