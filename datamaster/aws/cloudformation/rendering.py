"""A template's resources with every value filled in, without an account. Parameters are given, references are resolved.

Intrinsic functions: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from ipaddress import ip_network
from itertools import islice
from pathlib import Path
from typing import Any

from datamaster.aws.cloudformation.reading import read_template
from datamaster.project import PROJECT
from lake.errors import TerminalError

PSEUDO = {
    "AWS::AccountId": "000000000000",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "stack",
}
NO_VALUE = object()
_HERE = f"{PSEUDO['AWS::Region']}:{PSEUDO['AWS::AccountId']}"
# The ARN that AWS forms from a resource's name, by type and attribute. "Ref" means that the reference is the ARN.
_ARNS = {
    ("AWS::DMS::ReplicationConfig", "Ref"): ("ReplicationConfigIdentifier", f"arn:aws:dms:{_HERE}:replication-config:%s"),
    ("AWS::DynamoDB::Table", "Arn"): ("TableName", f"arn:aws:dynamodb:{_HERE}:table/%s"),
    ("AWS::DynamoDB::Table", "StreamArn"): ("TableName", f"arn:aws:dynamodb:{_HERE}:table/%s/stream/1"),
    ("AWS::ECR::Repository", "Arn"): ("RepositoryName", f"arn:aws:ecr:{_HERE}:repository/%s"),
    ("AWS::IAM::ManagedPolicy", "Ref"): ("ManagedPolicyName", f"arn:aws:iam::{PSEUDO['AWS::AccountId']}:policy/%s"),
    ("AWS::IAM::Role", "Arn"): ("RoleName", f"arn:aws:iam::{PSEUDO['AWS::AccountId']}:role/%s"),
    ("AWS::IAM::User", "Arn"): ("UserName", f"arn:aws:iam::{PSEUDO['AWS::AccountId']}:user/%s"),
    ("AWS::Kinesis::Stream", "Arn"): ("Name", f"arn:aws:kinesis:{_HERE}:stream/%s"),
    ("AWS::Logs::LogGroup", "Arn"): ("LogGroupName", f"arn:aws:logs:{_HERE}:log-group:%s:*"),
    ("AWS::RDS::DBCluster", "DBClusterArn"): ("DBClusterIdentifier", f"arn:aws:rds:{_HERE}:cluster:%s"),
    ("AWS::S3::Bucket", "Arn"): ("BucketName", "arn:aws:s3:::%s"),
    ("AWS::SQS::Queue", "Arn"): ("QueueName", f"arn:aws:sqs:{_HERE}:%s"),
    ("AWS::SecretsManager::Secret", "Ref"): ("Name", f"arn:aws:secretsmanager:{_HERE}:secret:%s-AbCdEf"),
    ("AWS::Serverless::Function", "Arn"): ("FunctionName", f"arn:aws:lambda:{_HERE}:function:%s"),
    ("AWS::StepFunctions::StateMachine", "Ref"): ("StateMachineName", f"arn:aws:states:{_HERE}:stateMachine:%s"),
}
_VARIABLE = re.compile(r"\$\{(!?)([^}]+)\}")


class Unrendered(TerminalError):
    """A template uses a reference or function that cannot be resolved."""

    def __init__(self, template: str, what: str) -> None:
        super().__init__(f"{template}: {what} cannot be resolved")


class Template:
    """One template with its parameters' values. A missing value becomes the default, or "<name>"."""

    def __init__(self, path: Path, parameters: Mapping[str, str] | None = None) -> None:
        self.path = path
        self.document = read_template(path.read_text())
        given = parameters or {}
        self.parameters = {
            name: given.get(name, str(entry.get("Default", f"<{name}>"))) for name, entry in (self.document.get("Parameters") or {}).items()
        }

    def present(self) -> dict[str, dict[str, Any]]:
        """The resources whose condition holds, by logical id, unresolved."""
        resources: dict[str, dict[str, Any]] = self.document["Resources"]
        return {name: entry for name, entry in resources.items() if "Condition" not in entry or self._condition(entry["Condition"])}

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """The resolved properties of one type's resources whose condition holds, by logical id."""
        return {name: self.properties(name) for name, entry in self.present().items() if entry.get("Type") == kind}

    def properties(self, logical: str) -> dict[str, Any]:
        """The resolved properties of one resource."""
        found: dict[str, Any] = self.resolved(dict(self.document["Resources"][logical].get("Properties", {})))
        return found

    def policies_of(self, principal: str) -> list[dict[str, Any]]:
        """Every policy document of a role or user: its own, and those of attached policies."""
        properties = self.resolved(dict(self.document["Resources"][principal]["Properties"]))
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        documents += [
            body["PolicyDocument"] for body in self.of_type("AWS::IAM::Policy").values() if self._reference(principal) in _holders(body)
        ]
        for name, body in self.of_type("AWS::IAM::ManagedPolicy").items():
            if self.arn(name) in properties.get("ManagedPolicyArns", []) or self._reference(principal) in _holders(body):
                documents.append(body["PolicyDocument"])
        return documents

    def resolved(self, value: Any) -> Any:
        """A value of the template with its references and functions resolved."""
        if isinstance(value, list):
            return [found for found in map(self.resolved, value) if found is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            name, argument = next(iter(value.items()))
            if name == "Ref":
                return self._reference(argument)
            if name.startswith("Fn::"):
                return self._function(name.removeprefix("Fn::"), argument)
        pairs = ((key, self.resolved(found)) for key, found in value.items())
        return {key: found for key, found in pairs if found is not NO_VALUE}

    def _function(self, name: str, argument: Any) -> Any:
        functions: dict[str, Callable[[Any], Any]] = {
            "Sub": self._substituted,
            "GetAtt": self._got,
            "If": lambda given: self.resolved(given[1] if self._condition(given[0]) else given[2]),
            "Join": lambda given: given[0].join(map(str, self.resolved(given[1]))),
            "Split": lambda given: self.resolved(given[1]).split(given[0]),
            "Select": lambda given: self.resolved(given[1])[int(given[0])],
            "FindInMap": self._found_in_map,
            "Cidr": lambda given: _subnets(*self.resolved(given)),
            "GetAZs": lambda _given: [f"{PSEUDO['AWS::Region']}{zone}" for zone in "abc"],
        }
        if name not in functions:
            raise Unrendered(self.path.name, f"Fn::{name}")
        return functions[name](argument)

    def _got(self, argument: Any) -> str:
        logical, _, attribute = argument.partition(".") if isinstance(argument, str) else (argument[0], ".", argument[1])
        return self._attribute(logical, attribute)

    def _found_in_map(self, argument: Any) -> Any:
        place: Any = self.document["Mappings"]
        for key in argument:
            place = place[self.resolved(key)]
        return place

    def _substituted(self, argument: Any) -> str:
        text, own = (argument, {}) if isinstance(argument, str) else argument

        def value(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return f"${{{name}}}"
            if name in own:
                return str(self.resolved(own[name]))
            logical, dot, attribute = name.partition(".")
            return str(self._attribute(logical, attribute) if dot else self._reference(name))

        return _VARIABLE.sub(value, text)

    def _reference(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.parameters:
            number = self.document["Parameters"][name].get("Type") == "Number"
            return _number(self.parameters[name]) if number else self.parameters[name]
        if name not in self.document["Resources"]:
            raise Unrendered(self.path.name, f'reference to "{name}"')
        if arn := self._arn(name, "Ref"):
            return arn
        properties = self.document["Resources"][name].get("Properties", {})
        word = next((key for key in properties if key in ("Name", "BucketName", "RoleName", "UserName", "TableName")), None)
        return self.resolved(properties[word]) if word else f"<{name}>"

    def _attribute(self, logical: str, attribute: str) -> str:
        if logical not in self.document["Resources"]:
            raise Unrendered(self.path.name, f'attribute {attribute} of "{logical}"')
        return self._arn(logical, attribute) or f"<{logical}.{attribute}>"

    def arn(self, logical: str) -> str:
        """The ARN of a resource, or "<logical id.Arn>" if only AWS knows it."""
        return self._arn(logical, "Ref") or self._attribute(logical, "Arn")

    def outputs(self) -> dict[str, str]:
        """The stack's outputs, resolved."""
        return {name: str(self.resolved(entry["Value"])) for name, entry in self.document.get("Outputs", {}).items()}

    def _arn(self, logical: str, attribute: str) -> str | None:
        entry = self.document["Resources"][logical]
        properties = entry.get("Properties", {})
        kind = entry.get("Type") or ("AWS::Serverless::Function" if "FunctionName" in properties else "")  # Chalice's template has the type
        if (kind, attribute) not in _ARNS:
            return None
        word, pattern = _ARNS[kind, attribute]
        return str(pattern % self.resolved(properties.get(word, logical)))

    def _condition(self, name: str | dict[str, Any]) -> bool:
        entry = self.document.get("Conditions", {})[name] if isinstance(name, str) else name
        word, argument = next(iter(entry.items()))
        if word == "Condition":
            return self._condition(argument)
        if word == "Fn::Equals":
            left, right = self.resolved(argument)
            return bool(left == right)
        if word == "Fn::Not":
            return not self._condition(argument[0])
        if word == "Fn::And":
            return all(map(self._condition, argument))
        if word == "Fn::Or":
            return any(map(self._condition, argument))
        raise Unrendered(self.path.name, f"condition {word}")


def _number(text: str) -> int | float | str:
    """A parameter's number. A placeholder stays a text."""
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        return text


def _subnets(block: str, count: Any, host_bits: Any) -> list[str]:
    network = ip_network(block)
    subnets = network.subnets(new_prefix=network.max_prefixlen - int(host_bits))
    return [str(subnet) for subnet in islice(subnets, int(count))]


_GIVEN = re.compile(r"^  (\w+): !stack_output ([\w-]+)\.yaml::(\w+)", re.MULTILINE)


@cache
def stack(name: str, environment: str, functions: Path | None = None) -> Template:
    """A stack's template as an account sees it. Parameters take other stacks' outputs, as in its configuration under config/.

    ``functions`` is a folder of the apps' packaged templates, functions-<app>.json. Without it the merge files are used. Parameters from
    the environment's file keep their defaults.
    """
    given = _GIVEN.findall((PROJECT / "config" / f"{name}.yaml").read_text())
    values = {parameter: stack(other, environment, functions).outputs()[output] for parameter, other, output in given}
    merge = PROJECT / "templates" / f"functions-{name}.merge.yaml"
    path = PROJECT / "templates" / f"{name}.yaml"
    if merge.exists():
        path = functions / f"functions-{name}.json" if functions else merge
    return Template(path, {"Environment": environment, **values})


def _holders(policy: Mapping[str, Any]) -> set[str]:
    return {*policy.get("Roles", []), *policy.get("Users", [])}
