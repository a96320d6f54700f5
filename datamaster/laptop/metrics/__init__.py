"""CloudWatch features that the emulator lacks: metrics from logs, and the services' own metrics."""
