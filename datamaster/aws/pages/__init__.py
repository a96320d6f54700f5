"""Pages and templates written from code and contracts."""
