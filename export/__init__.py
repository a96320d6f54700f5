"""The batch door: a table of the source as CSV objects under raw/, read in one snapshot. ``task`` is its command."""
