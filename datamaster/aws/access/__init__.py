"""The access matrix of governance/access.yaml, and the tools to check the templates against it.

``access.matrix`` reads the matrix, ``cloudformation`` resolves templates and evaluates IAM policies, and ``lake_formation`` computes the
tables that a principal may select through tags, named grants and cells filters.
"""
