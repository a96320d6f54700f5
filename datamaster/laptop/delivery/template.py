"""Reads one resource of a CloudFormation template with its intrinsic functions resolved.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from lake.errors import TerminalError

PSEUDO_PARAMETERS = {
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::AccountId": "000000000000",
    "AWS::URLSuffix": "amazonaws.com",
}
_VARIABLE = re.compile(r"\$\{([^!}][^}]*)\}")


class UnresolvedValue(TerminalError):
    """A property refers to a parameter, attribute or import that nobody gave a value."""

    def __init__(self, name: str, known: Mapping[str, str]) -> None:
        super().__init__(f'template value "{name}" is not known; give --parameter {name}=VALUE. Known: {", ".join(sorted(known))}')


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, each read as its long form."""


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


class Template:
    """A template and the values that it is deployed with.

    ``values`` holds parameters by name, and by the same spelling what other stacks and resources give: ``Logical.Attribute``
    for Fn::GetAtt, the export's name for Fn::ImportValue. Parameters' defaults and pseudo parameters are known already.
    """

    def __init__(self, path: Path, values: Mapping[str, str]) -> None:
        self._document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - it derives from SafeLoader
        declared = self._document.get("Parameters", {})
        defaults = {name: str(entry["Default"]) for name, entry in declared.items() if "Default" in entry}
        self._values = {**PSEUDO_PARAMETERS, **defaults, **values}

    def resources(self, kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Logical name and raw properties of every resource of one type."""
        for name, resource in self._document.get("Resources", {}).items():
            if resource["Type"] == kind:
                yield name, resource.get("Properties", {})

    def resolve(self, value: Any) -> Any:
        """A property with its intrinsic functions replaced by what they give. Raises ``UnresolvedValue``."""
        if isinstance(value, list):
            return [self.resolve(entry) for entry in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((function, argument),) = value.items()
            if function == "Ref" or function.startswith("Fn::"):
                return self._call(function, argument)
        return {name: self.resolve(entry) for name, entry in value.items()}

    def _call(self, function: str, argument: Any) -> Any:
        if function == "Ref":
            return self._value(argument)
        if function == "Fn::GetAtt":
            return self._value(argument if isinstance(argument, str) else ".".join(argument))
        if function == "Fn::ImportValue":
            return self._value(self.resolve(argument))
        if function == "Fn::Sub":
            return self._substitute(argument)
        if function == "Fn::Join":
            separator, parts = argument
            return separator.join(str(self.resolve(part)) for part in parts)
        if function == "Fn::If":
            condition, then, otherwise = argument
            return self.resolve(then if self._holds({"Condition": condition}) else otherwise)
        raise UnresolvedValue(function, self._values)

    def _substitute(self, argument: Any) -> str:
        text, own = (argument, {}) if isinstance(argument, str) else argument
        given = {name: str(self.resolve(value)) for name, value in own.items()}
        return _VARIABLE.sub(lambda match: given.get(match[1]) or self._value(match[1]), text)

    def _holds(self, condition: Mapping[str, Any]) -> bool:
        ((function, argument),) = condition.items()
        if function == "Condition":
            return self._holds(self._document["Conditions"][argument])
        if function == "Fn::Equals":
            left, right = (str(self.resolve(side)) for side in argument)
            return left == right
        if function == "Fn::Not":
            return not self._holds(argument[0])
        if function == "Fn::And":
            return all(self._holds(entry) for entry in argument)
        if function == "Fn::Or":
            return any(self._holds(entry) for entry in argument)
        raise UnresolvedValue(function, self._values)

    def _value(self, name: str) -> str:
        try:
            return self._values[name]
        except KeyError:
            raise UnresolvedValue(name, self._values) from None
