"""Everything that a deployment would send to AWS, collected without a call, with every value filled in.

Tests and ``make check-aws`` judge this collection, so they judge the bytes that AWS gets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from datamaster.aws.cloudformation.rendering import Template
from datamaster.aws.deploy import docker
from datamaster.aws.deploy.artifacts import collect
from datamaster.aws.deploy.deployment import spark_variables
from datamaster.aws.deploy.environments import Environment
from datamaster.aws.deploy.package import Package
from datamaster.aws.deploy.preview import parameters_of
from datamaster.aws.deploy.stacks import levels


@dataclass(frozen=True)
class Sent:
    """Everything that an environment's deployment sends, in order.

    ``bodies`` holds each stack's template as CloudFormation gets it, ``parameters`` its parameters, and ``rendered`` the template with
    these filled in. ``definitions`` holds each state machine as Step Functions reads it.
    """

    environment: Environment
    bodies: Mapping[str, str]
    parameters: Mapping[str, Mapping[str, str]]
    rendered: Mapping[str, Template]
    definitions: Mapping[str, bytes]


def sent(environment: Environment, packages: Mapping[str, Package], build: Path) -> Sent:
    """Collect everything that a deployment of the packaged apps would send. Writes files under ``build``."""
    artifacts = collect(build, packages)
    variables = (
        artifacts.variables | docker.names(environment) | {"layers": {name: f"layers/{name}.zip" for name in ("libraries", "arrow")}}
    )
    artifacts = type(artifacts)(artifacts.objects, variables)
    storage = {
        "ArtifactsBucket": f"dm-artifacts-{environment.name}-000000000000",
        "LakeBucket": f"dm-datalake-{environment.name}-000000000000",
    }
    named = environment.with_variables(variables | spark_variables(artifacts, storage, environment))
    bodies: dict[str, str] = {}
    parameters: dict[str, Mapping[str, str]] = {}
    rendered: dict[str, Template] = {}
    outputs: dict[str, str] = {}
    for level in levels(named):
        for stack in level:
            bodies[stack.name] = stack.body
            given = {name: outputs.get(value, value) for name, value in parameters_of(stack).items()}
            parameters[stack.name] = given
            written = build / f"{stack.name}{'.json' if stack.body.startswith('{') else '.yaml'}"
            written.write_text(stack.body)
            rendered[stack.name] = Template(written, given)
            outputs |= {f"{stack.name}.{name}": value for name, value in rendered[stack.name].outputs().items()}
    definitions = {name: artifacts.objects[key] for name, key in variables["definitions"].items()}
    return Sent(named, bodies, parameters, rendered, definitions)
