"""Protocols that several stand-ins share: AWS JSON 1.x over HTTP, and Kinesis without botocore's models."""

REGION = "us-east-1"
ACCOUNT = "000000000000"
