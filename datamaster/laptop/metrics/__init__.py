"""CloudWatch's work that the emulator leaves undone: metrics out of logs, and what AWS's services tell of themselves."""
