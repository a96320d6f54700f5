"""A template's resources with every value filled in, without an account: parameters are given, references are resolved.

Intrinsic functions: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cfn_tools import load_yaml

from lake.errors import TerminalError

PSEUDO = {
    "AWS::AccountId": "000000000000",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "stack",
}
NO_VALUE = object()
_NAMED = {
    "AWS::IAM::Role": ("role", "RoleName"),
    "AWS::IAM::User": ("user", "UserName"),
    "AWS::IAM::ManagedPolicy": ("policy", "ManagedPolicyName"),
}
_VARIABLE = re.compile(r"\$\{(!?)([^}]+)\}")


class Unrendered(TerminalError):
    """A template uses a reference or function that cannot be resolved."""

    def __init__(self, template: str, what: str) -> None:
        super().__init__(f"{template}: {what} cannot be resolved")


class Template:
    """One template with the values of its parameters; those not given take their default, or "<name>"."""

    def __init__(self, path: Path, parameters: Mapping[str, str] | None = None) -> None:
        self.path = path
        self.document: dict[str, Any] = load_yaml(path.read_text())
        given = parameters or {}
        self.parameters = {
            name: given.get(name, str(entry.get("Default", f"<{name}>"))) for name, entry in (self.document.get("Parameters") or {}).items()
        }

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """The properties of the resources of one type whose condition holds, by logical id, resolved."""
        return {
            name: self._resolved(dict(entry.get("Properties", {})))
            for name, entry in self.document["Resources"].items()
            if entry.get("Type") == kind and ("Condition" not in entry or self._condition(entry["Condition"]))
        }

    def properties(self, logical: str) -> dict[str, Any]:
        """The properties of one resource, resolved."""
        found: dict[str, Any] = self._resolved(dict(self.document["Resources"][logical].get("Properties", {})))
        return found

    def policies_of(self, principal: str) -> list[dict[str, Any]]:
        """Every policy document that the template gives to a role or user: its own, and those of policies attached to it."""
        properties = self._resolved(dict(self.document["Resources"][principal]["Properties"]))
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        documents += [
            body["PolicyDocument"] for body in self.of_type("AWS::IAM::Policy").values() if self._reference(principal) in _holders(body)
        ]
        for name, body in self.of_type("AWS::IAM::ManagedPolicy").items():
            if self.arn(name) in properties.get("ManagedPolicyArns", []) or self._reference(principal) in _holders(body):
                documents.append(body["PolicyDocument"])
        return documents

    def _resolved(self, value: Any) -> Any:
        if isinstance(value, list):
            return [found for found in map(self._resolved, value) if found is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            name, argument = next(iter(value.items()))
            if name == "Ref":
                return self._reference(argument)
            if name.startswith("Fn::"):
                return self._function(name.removeprefix("Fn::"), argument)
        pairs = ((key, self._resolved(found)) for key, found in value.items())
        return {key: found for key, found in pairs if found is not NO_VALUE}

    def _function(self, name: str, argument: Any) -> Any:
        if name == "Sub":
            return self._substituted(argument)
        if name == "GetAtt":
            logical, _, attribute = argument.partition(".") if isinstance(argument, str) else (argument[0], ".", argument[1])
            return self._attribute(logical, attribute)
        if name == "If":
            condition, yes, no = argument
            return self._resolved(yes if self._condition(condition) else no)
        if name == "Join":
            separator, parts = argument
            return separator.join(map(str, self._resolved(parts)))
        if name == "FindInMap":
            place: Any = self.document["Mappings"]
            for key in argument:
                place = place[self._resolved(key)]
            return place
        raise Unrendered(self.path.name, f"Fn::{name}")

    def _substituted(self, argument: Any) -> str:
        text, own = (argument, {}) if isinstance(argument, str) else argument

        def value(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return f"${{{name}}}"
            if name in own:
                return str(self._resolved(own[name]))
            logical, dot, attribute = name.partition(".")
            return str(self._attribute(logical, attribute) if dot else self._reference(name))

        return _VARIABLE.sub(value, text)

    def _reference(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.parameters:
            return self.parameters[name]
        if name not in self.document["Resources"]:
            raise Unrendered(self.path.name, f'reference to "{name}"')
        entry = self.document["Resources"][name]
        if entry.get("Type") == "AWS::IAM::ManagedPolicy":
            return self.arn(name)
        properties = entry.get("Properties", {})
        word = next((key for key in properties if key in ("Name", "BucketName", "RoleName", "UserName", "TableName")), None)
        return self._resolved(properties[word]) if word else f"<{name}>"

    def _attribute(self, logical: str, attribute: str) -> str:
        if logical not in self.document["Resources"]:
            raise Unrendered(self.path.name, f'attribute {attribute} of "{logical}"')
        return self.arn(logical) if attribute == "Arn" else f"<{logical}.{attribute}>"

    def arn(self, logical: str) -> str:
        """The ARN of a resource; "<logical id.Arn>" where only AWS knows it."""
        entry = self.document["Resources"][logical]
        kind, properties = entry.get("Type"), entry.get("Properties", {})
        if kind in _NAMED:
            word, name = _NAMED[kind]
            return f"arn:aws:iam::{PSEUDO['AWS::AccountId']}:{word}/{self._resolved(properties.get(name, logical))}"
        if kind == "AWS::S3::Bucket":
            return f"arn:aws:s3:::{self._resolved(properties['BucketName'])}"
        return f"<{logical}.Arn>"

    def _condition(self, name: str | dict[str, Any]) -> bool:
        entry = self.document.get("Conditions", {})[name] if isinstance(name, str) else name
        word, argument = next(iter(entry.items()))
        if word == "Condition":
            return self._condition(argument)
        if word == "Fn::Equals":
            left, right = self._resolved(argument)
            return bool(left == right)
        if word == "Fn::Not":
            return not self._condition(argument[0])
        if word == "Fn::And":
            return all(map(self._condition, argument))
        if word == "Fn::Or":
            return any(map(self._condition, argument))
        raise Unrendered(self.path.name, f"condition {word}")


def _holders(policy: Mapping[str, Any]) -> set[str]:
    return {*policy.get("Roles", []), *policy.get("Users", [])}
