"""The runtime library of every stage: types, contracts, order of changes, files, privacy.

It holds the rules of the data and does not know where it runs.
"""
