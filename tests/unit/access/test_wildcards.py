"""A policy says "*" for a resource only where AWS lets nothing narrower be named, and says so in place."""

import re

import pytest

from datamaster.aws.cloudformation.policies import listed
from datamaster.aws.cloudformation.reading import read_template
from datamaster.project import PROJECT
from tests.service_authorization import expanded, takes_resource

TEMPLATES = {path.name: path.read_text() for path in sorted((PROJECT / "templates").glob("*.yaml"))}
HOLDERS = ("AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
READS = re.compile(r"(athena:(BatchGet|Get|List)|glue:Get(Database|Partition|Table))\*")
PAGE = "https://docs.aws.amazon.com/"
KEY_POLICY_PAGE = "https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-overview.html"


def statements(text):
    """Every allowing statement of the identity policies of a template, with its holder; those under a condition too."""
    for name, resource in (read_template(text).get("Resources") or {}).items():
        if resource.get("Type") in HOLDERS:
            properties = resource["Properties"]
            for document in [*(p["PolicyDocument"] for p in properties.get("Policies", [])), properties.get("PolicyDocument")]:
                for entry in (document or {}).get("Statement", []):
                    for statement in [part for part in entry["Fn::If"][1:] if "Effect" in part] if "Fn::If" in entry else [entry]:
                        if statement["Effect"] == "Allow":
                            yield name, statement


def too_wide(text):
    """What is granted on everything though a resource can be named, or by a pattern of actions.

    The boundary, which gives nothing, names reads of Athena and Glue by patterns: a policy has 6,144 characters.
    """
    return [
        (name, action)
        for name, statement in statements(text)
        for action in listed(statement["Action"])
        if ("*" in action and not (name == "Boundary" and READS.fullmatch(action)))
        or ("*" in listed(statement["Resource"]) and any(map(takes_resource, expanded(action))))
    ]


def unexplained(text):
    """The lines of a template that name every resource without AWS's page in the comment over their statement."""
    lines, found = text.splitlines(), []
    for number, line in enumerate(lines):
        if re.match(r'\s+Resource: "\*"$', line):
            indent = len(line) - len(line.lstrip())
            first = next(n for n in range(number, -1, -1) if lines[n].startswith(" " * (indent - 2) + "- "))
            comment = []
            while lines[first - 1 - len(comment)].lstrip().startswith("#"):
                comment.append(lines[first - 1 - len(comment)])
            if PAGE not in "".join(comment) and KEY_POLICY_PAGE not in text:
                found.append(number + 1)
    return found


@pytest.mark.parametrize("name", TEMPLATES)
def test_nothing_is_granted_on_everything_where_a_resource_can_be_named(name):
    assert too_wide(TEMPLATES[name]) == []
    assert unexplained(TEMPLATES[name]) == []


def test_every_action_of_every_policy_is_one_that_aws_has():
    for name, text in TEMPLATES.items():
        for holder, statement in statements(text):
            for action in listed(statement["Action"]):
                assert expanded(action), f"{name}: {holder}: {action}"


def test_no_action_without_a_resource_is_given_on_one_where_it_would_grant_nothing():
    void = [
        (name, holder, action)
        for name, text in TEMPLATES.items()
        for holder, statement in statements(text)
        if "*" not in listed(statement.get("Resource"))
        for action in listed(statement["Action"])
        if not any(map(takes_resource, expanded(action)))
    ]

    assert void == []


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("Action: comprehend:DetectPiiEntities", "Action: s3:GetObject", ("ConvertFileRole", "s3:GetObject")),
        ("Action: sqs:SendMessage", 'Action: "sqs:*"', ("ConvertFileRole", "sqs:*")),
    ],
)
def test_a_wider_policy_would_be_found(before, after, found):
    assert found in too_wide(TEMPLATES["functions-converter.merge.yaml"].replace(before, after))


def test_a_missing_explanation_would_be_found():
    text = TEMPLATES["functions-converter.merge.yaml"]
    assert len(unexplained(text.replace("# X-Ray has no resource", "# None").replace("list_awsx-ray", "").replace(PAGE, ""))) >= 5
