"""The runtime library that every stage of the road shares.

It knows the rules of the data (types, contracts, order, files, privacy) and nothing of where it runs.
"""
