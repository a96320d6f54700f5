"""Package the functions and jobs, and bring an environment's stacks to the state of their templates."""

from datamaster.aws.deploy.deployment import Deployment, deploy, plan
from datamaster.aws.deploy.watch import Watch

__all__ = ["Deployment", "Watch", "deploy", "plan"]
