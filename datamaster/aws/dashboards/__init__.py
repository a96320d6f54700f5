"""The three Grafana dashboards, the alarms, and what both are made from and checked with."""
