"""Who may do what: the access matrix of governance/access.yaml, and what the templates must say for it to hold.

``access`` reads the matrix, ``rendering`` resolves a template's values, ``policies`` evaluates IAM policies, ``lake_formation``
computes what a principal may select through tags, named grants and cells filters together.
"""
