"""Maintenance: compaction, expiry of snapshots, removal of orphaned files."""
