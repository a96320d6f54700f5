"""Packages the functions and jobs and brings an environment's stacks to what the templates say."""
