"""The three Grafana dashboards and the alarms, with their sources and checks."""
