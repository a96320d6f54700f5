"""The `dm` command: deploy to an AWS account, or run the whole road on a laptop."""
