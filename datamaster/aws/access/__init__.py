"""The access matrix of governance/access.yaml, and the grants and page that are made from it."""
