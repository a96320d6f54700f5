"""Packages the functions and jobs and brings an environment's stacks to what the templates say."""

from datamaster.deploy.changes import Watch
from datamaster.deploy.deployment import Deployment, deploy, plan

__all__ = ["Deployment", "Watch", "deploy", "plan"]
