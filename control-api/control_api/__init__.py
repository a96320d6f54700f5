"""The control API behind its route handlers."""
