"""Comprehend's detection of personal data on this machine: its API in front of Presidio's pattern recognisers.

Patterns and check digits, no language model: names, addresses and ages are not found here, as they are on AWS.
"""
