"""The router's logic: DMS messages to raw lines, raw objects to control records, control records to executions."""
