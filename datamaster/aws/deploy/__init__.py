"""Packages the functions and jobs and brings an environment's stacks to what the templates say."""

from datamaster.aws.deploy.deployment import Deployment, deploy, plan
from datamaster.aws.deploy.watch import Watch

__all__ = ["Deployment", "Watch", "deploy", "plan"]
