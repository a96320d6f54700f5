"""Pages and templates generated from code and contracts."""
