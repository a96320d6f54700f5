"""What the control API does behind its handlers."""
