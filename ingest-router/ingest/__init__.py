"""The router: DMS messages become raw lines, raw objects control records, and control records executions."""
