"""CloudFormation templates as plain values: read, and rendered with parameters."""
