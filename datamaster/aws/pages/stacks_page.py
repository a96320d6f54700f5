"""Write docs/stacks.md, the stacks' parameters and outputs: ``python -m datamaster.aws.pages.stacks_page``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from datamaster.aws.cloudformation.reading import read_template
from datamaster.aws.deploy.environments import EXISTING_SOURCE, load_environment
from datamaster.aws.deploy.package import APPS
from datamaster.aws.deploy.preview import description_of, parameters_of
from datamaster.aws.deploy.stacks import levels
from datamaster.project import PROJECT

PAGE = PROJECT / "docs" / "stacks.md"
HEAD = """# The stacks' interfaces

Written by `python -m datamaster.aws.pages.stacks_page` from templates/ and config/, in the order of deployment; a test holds this page to
them. A value is a constant of the environment's file (`dev` is shown), or the output of another stack.
"""


def page() -> str:
    """The page's text."""
    parts = [HEAD]
    every = load_environment("dev").with_variables({"working_hours": True, "api_firewall": True})  # the optional stacks too
    existing = load_environment("dev").with_variables(EXISTING_SOURCE | {"working_hours": False})
    for number, level in enumerate(levels(every), 1):
        names = {stack.name for stack in level}
        others = [stack for stack in levels(existing)[number - 1] if stack.name == "source-existing" and stack.name not in names]
        for stack in (*level, *others):
            name = f"functions-{stack.name}.merge.yaml" if stack.name in APPS else f"{stack.name}.yaml"
            template = read_template((PROJECT / "templates" / name).read_text())
            parts += [f"## {number}. {stack.name}\n", "\n".join(_lines(template, parameters_of(stack))) + "\n"]
    return "\n".join(parts)


def _lines(template: Mapping[str, Any], given: Mapping[str, str]) -> Iterator[str]:
    if "Description" in template:
        yield f"{description_of(template)}\n"
    parameters = template.get("Parameters", {})
    if parameters:
        yield "| parameter | in dev | otherwise |\n|---|---|---|"
        for name, declared in parameters.items():
            yield f"| {name} | {_told(given.get(name, ''))} | {_range(declared)} |"
    outputs = template.get("Outputs", {})
    if outputs:
        yield f"\nOutputs: {', '.join(outputs)}"


def _told(value: str) -> str:
    return value.replace("|", "\\|")


def _range(declared: Mapping[str, Any]) -> str:
    found = []
    if "AllowedValues" in declared:
        found.append("one of " + ", ".join(str(value) for value in declared["AllowedValues"]))
    if "Default" in declared and str(declared["Default"]):
        found.append(f"default {declared['Default']}")
    return "; ".join(found)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
