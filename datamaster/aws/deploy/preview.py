"""A preview of a deployment without a call to AWS: order, parameters, and the resources of each template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datamaster.aws.cloudformation.reading import read_template
from datamaster.aws.deploy import docker
from datamaster.aws.deploy.artifacts import collect
from datamaster.aws.deploy.environments import Environment
from datamaster.aws.deploy.package import APPS, package_apps
from datamaster.aws.deploy.stack_files import Stack
from datamaster.aws.deploy.stacks import levels
from datamaster.project import PROJECT
from lake.errors import TerminalError

CONFIG = "config"


class MissingParameter(TerminalError):
    """A parameter of a template has no value, an unknown name or a value that is not allowed."""

    def __init__(self, problems: Iterable[str]) -> None:
        super().__init__("; ".join(problems))


@dataclass(frozen=True)
class StackPreview:
    """One stack as it would be launched.

    ``about`` is the template's description. ``parameters`` holds values, and "<stack>.<output>" for a value from another stack.
    ``resources`` counts resources by type, without those that a condition excludes.
    """

    stack: str
    level: int
    about: str
    parameters: Mapping[str, str]
    resources: Mapping[str, int]


def preview(environment: Environment, build: Path, stacks: Collection[str] = ()) -> list[StackPreview]:
    """Every stack that a deployment would launch, in order. Packages the apps and calls nothing on AWS.

    Raises ``MissingParameter``, ``EnvironmentIncomplete``, ``UnknownStack``, ``PackagingFailed``.
    """
    folder = build / environment.name
    named = environment.with_variables(collect(folder, package_apps(folder)).variables | docker.names(environment))
    found = []
    problems: list[str] = []
    for number, level in enumerate(levels(named, stacks), 1):
        for stack in level:
            template, given = read_template(stack.body), parameters_of(stack)
            problems += parameter_problems(stack.name, template, given)
            found.append(StackPreview(stack.name, number, description_of(template), given, resources_of(template, given)))
    if problems:
        raise MissingParameter(problems)
    return found


def require_parameters(environment: Environment, stacks: Collection[str]) -> None:
    """Compare the stacks' configuration with their templates. Raises ``MissingParameter``.

    Packaging writes a function's template, but all its parameters come from the file that is merged into it.
    """
    problems: list[str] = []
    for level in levels(environment):
        for stack in level:
            if stack.name in stacks:
                problems += parameter_problems(stack.name, read_template(_source(stack.name).read_text()), parameters_of(stack))
    if problems:
        raise MissingParameter(problems)


def description_of(template: Mapping[str, Any]) -> str:
    """A template's description, as a sentence."""
    told = str(template.get("Description", "")).removeprefix("Data Master - ").strip()
    return f"{told[:1].upper()}{told[1:]}"


def _source(stack: str) -> Path:
    return PROJECT / "templates" / (f"functions-{stack}.merge.yaml" if stack in APPS else f"{stack}.yaml")


def parameters_of(stack: Stack) -> dict[str, str]:
    """A stack's parameters as its configuration gives them, unresolved."""
    return {name: str(value) for name, value in stack.parameters.items()}


def parameter_problems(stack: str, template: Mapping[str, Any], given: Mapping[str, str]) -> list[str]:
    """The problems of a stack's parameters. Each names the valid values."""
    declared = template.get("Parameters", {})
    file = f"{CONFIG}/{stack}.yaml"
    problems = [
        f'{file} gives no value for parameter "{name}"' for name in declared if name not in given and "Default" not in declared[name]
    ]
    problems += [
        f'{file} gives a parameter "{name}" that the template does not have; it has {", ".join(declared)}'
        for name in given.keys() - declared.keys()
    ]
    for name in given.keys() & declared.keys():
        allowed = [str(value) for value in declared[name].get("AllowedValues", [])]
        if allowed and given[name] not in allowed:
            problems.append(f'{file}: parameter "{name}" is "{given[name]}"; one of {", ".join(allowed)}')
    return problems


def resources_of(template: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, int]:
    """The number of resources by type. A condition on another stack's output counts as met."""
    defaults = {name: str(declared.get("Default", "")) for name, declared in template.get("Parameters", {}).items()}
    known = {**defaults, **parameters}
    conditions = template.get("Conditions", {})
    made = [
        resource["Type"]
        for resource in template["Resources"].values()
        if "Condition" not in resource or holds(conditions[resource["Condition"]], conditions, known)
    ]
    return dict(sorted(Counter(made).items()))


def holds(condition: Any, conditions: Mapping[str, Any], parameters: Mapping[str, str]) -> bool:
    """Whether one of CloudFormation's conditions is met.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference-conditions.html
    """
    [(function, argument)] = condition.items()
    if function == "Condition":
        return holds(conditions[argument], conditions, parameters)
    if function == "Fn::Equals":
        left, right = (_value(side, parameters) for side in argument)
        return left == right
    met = [holds(part, conditions, parameters) for part in argument]
    return {"Fn::Not": lambda: not met[0], "Fn::And": lambda: all(met), "Fn::Or": lambda: any(met)}[function]()


def _value(side: Any, parameters: Mapping[str, str]) -> str:
    if isinstance(side, Mapping):
        return parameters.get(side["Ref"], "") if "Ref" in side else ""
    return str(side)
