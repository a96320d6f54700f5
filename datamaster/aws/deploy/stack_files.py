"""The stacks as the files under config/ describe them: template, parameters, tags, and the stacks that each needs.

A file is YAML with Jinja2's marks, and uses these keys of Sceptre's: ``template``, ``parameters``, ``dependencies``, ``ignore``.
https://docs.sceptre-project.org/latest/docs/stack_config.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment as Jinja
from jinja2 import FileSystemLoader, StrictUndefined, UndefinedError

from datamaster.aws.deploy.environments import CONFIG, Environment, EnvironmentIncomplete
from datamaster.project import PROJECT

TEMPLATES = PROJECT / "templates"
SHARED = "config.yaml"


@dataclass(frozen=True)
class Output:
    """A value that another stack gives."""

    stack: str
    name: str

    def __str__(self) -> str:
        return f"{self.stack}.{self.name}"


@dataclass(frozen=True)
class Stack:
    """One stack. ``external_name`` is its name in CloudFormation, ``needs`` names those that come up before it."""

    name: str
    external_name: str
    template: Path
    parameters: Mapping[str, str | Output]
    tags: Mapping[str, str]
    needs: frozenset[str]
    ignored: bool

    @property
    def body(self) -> str:
        """The template's text."""
        return self.template.read_text(encoding="utf-8")


class _Loader(yaml.CSafeLoader):
    """YAML in which ``!stack_output storage.yaml::LakeBucket`` is an ``Output``."""


def _output(loader: yaml.CSafeLoader, node: yaml.ScalarNode) -> Output:
    stack, _, name = str(loader.construct_scalar(node)).partition(".yaml::")
    return Output(stack, name)


_Loader.add_constructor("!stack_output", _output)


def read_stacks(environment: Environment, variables: Mapping[str, Any]) -> dict[str, Stack]:
    """Every stack by its name, those that the environment ignores too. Raises ``EnvironmentIncomplete``."""
    jinja = Jinja(loader=FileSystemLoader(CONFIG), undefined=StrictUndefined, autoescape=False)  # noqa: S701  # no HTML is written

    def read(name: str) -> dict[str, Any]:
        try:
            return dict(yaml.load(jinja.get_template(name).render(var=variables), Loader=_Loader))  # noqa: S506  # derived from the safe loader
        except UndefinedError as error:
            raise EnvironmentIncomplete(environment.name, re.findall(r"'(\w+)'$", str(error))) from error

    shared = read(SHARED)
    names = sorted(path.name for path in CONFIG.glob("*.yaml") if path.name != SHARED)
    return {stack.name: stack for stack in (_stack(name.removesuffix(".yaml"), read(name), shared) for name in names)}


def _stack(name: str, own: Mapping[str, Any], shared: Mapping[str, Any]) -> Stack:
    parameters = {key: _parameter(value) for key, value in own.get("parameters", {}).items()}
    return Stack(
        name=name,
        external_name=f"{shared['project_code']}-{name}",
        template=TEMPLATES / own["template"]["path"],
        parameters=parameters,
        tags={key: str(value) for key, value in shared["stack_tags"].items()},
        needs=frozenset(file.removesuffix(".yaml") for file in own.get("dependencies", ()))
        | {value.stack for value in parameters.values() if isinstance(value, Output)},
        ignored=own.get("ignore", False),
    )


def _parameter(value: Any) -> str | Output:
    if isinstance(value, Output):
        return value
    return ",".join(value) if isinstance(value, list) else str(value)
