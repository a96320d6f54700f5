"""How a launch meets what a new account does: roles that are not known yet, records of stacks that never came up, long templates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from datamaster.aws.deploy import change_sets
from datamaster.aws.deploy.change_sets import INLINE_BYTES, _Launch
from datamaster.aws.deploy.environments import load_environment
from datamaster.aws.deploy.stack_files import Output
from datamaster.aws.deploy.stacks import StackFailed, levels
from datamaster.aws.deploy.watch import UNWATCHED

NOT_YET = "Unable to assume the service linked role. Please verify that the ECS service linked role exists."


class CloudFormation:
    """Stacks by name and status; each attempt to make one ends as the script says: None comes up, a text is why it did not."""

    def __init__(self, *attempts: str | None) -> None:
        self.attempts = list(attempts)
        self.statuses: dict[str, str] = {}
        self.sent: list[dict[str, Any]] = []
        self.reason = ""

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        name = StackName
        if name not in self.statuses:
            raise ClientError({"Error": {"Code": "ValidationError", "Message": "does not exist"}}, "DescribeStacks")
        outputs = [{"OutputKey": "ArtifactsBucket", "OutputValue": "artifacts"}]
        return {"Stacks": [{"StackStatus": self.statuses[name], "Outputs": outputs}]}

    def create_change_set(self, **call: Any) -> dict[str, str]:
        self.sent.append(call)
        return {"Id": call["StackName"]}

    def describe_change_set(self, **_which: Any) -> dict[str, Any]:
        return {"Status": "CREATE_COMPLETE", "Changes": []}

    def execute_change_set(self, ChangeSetName: str) -> None:  # noqa: N803
        failed = self.attempts.pop(0)
        self.statuses[ChangeSetName] = "ROLLBACK_COMPLETE" if failed else "CREATE_COMPLETE"
        self.reason = failed or ""

    def delete_stack(self, StackName: str) -> None:  # noqa: N803
        assert self.statuses.pop(StackName) == "ROLLBACK_COMPLETE"


@pytest.fixture
def launch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    def run(client: CloudFormation, body: str = "Resources: {}", **parameters: str | Output) -> Any:
        monkeypatch.setattr(change_sets, "failure_reason", lambda client, _stack: client.reason)
        environment = load_environment("dev").with_variables({"poll_seconds": 0})
        [[stack]] = levels(environment, ["security"])
        template = tmp_path / "template.yaml"
        template.write_text(body)
        stack = replace(stack, template=template, parameters=stack.parameters | parameters)
        launching = _Launch(environment, UNWATCHED)
        launching.client = client
        return launching.run([[stack]])

    return run


def test_a_stack_that_failed_because_a_role_is_not_known_yet_is_made_once_more(launch: Any):
    client = CloudFormation(NOT_YET, None)

    launch(client)

    assert client.statuses == {"dm-dev-security": "CREATE_COMPLETE"}


def test_a_second_failure_ends_the_deployment_with_its_reason(launch: Any):
    with pytest.raises(StackFailed, match="service linked role"):
        launch(CloudFormation(NOT_YET, NOT_YET))


def test_any_other_failure_is_told_at_once(launch: Any):
    client = CloudFormation("Resource limit exceeded", None)

    with pytest.raises(StackFailed, match="Resource limit exceeded"):
        launch(client)
    assert client.attempts == [None]


def test_the_record_of_a_stack_that_never_came_up_goes_before_it_is_made_again(launch: Any):
    client = CloudFormation(None)
    client.statuses["dm-dev-security"] = "ROLLBACK_COMPLETE"

    launch(client)

    assert [call["ChangeSetType"] for call in client.sent] == ["CREATE"]
    assert client.statuses == {"dm-dev-security": "CREATE_COMPLETE"}


def test_a_parameter_that_another_stack_gives_has_that_output_s_value(launch: Any):
    client = CloudFormation(None)
    client.statuses["dm-dev-storage"] = "CREATE_COMPLETE"

    launch(client, Bucket=Output("storage", "ArtifactsBucket"))

    assert {"ParameterKey": "Bucket", "ParameterValue": "artifacts"} in client.sent[0]["Parameters"]


def test_an_output_that_the_other_stack_does_not_give_is_named_with_its_parameter(launch: Any):
    client = CloudFormation(None)
    client.statuses["dm-dev-storage"] = "CREATE_COMPLETE"

    with pytest.raises(StackFailed, match=r'dm-dev-security" failed: parameter "Bucket" is storage\.Nothing, and that stack gives no such'):
        launch(client, Bucket=Output("storage", "Nothing"))


def test_a_long_template_goes_by_its_place_in_the_artifacts_bucket(launch: Any, monkeypatch: pytest.MonkeyPatch):
    put: list[dict[str, Any]] = []
    place = SimpleNamespace(endpoint_url="https://s3.us-east-1.amazonaws.com")
    s3 = SimpleNamespace(meta=place, put_object=lambda **call: put.append(call))
    monkeypatch.setattr("boto3.client", lambda *_of, **_how: s3)
    client, body = CloudFormation(None), "#" * (INLINE_BYTES + 1)
    client.statuses["dm-dev-storage"] = "CREATE_COMPLETE"

    launch(client, body)

    [call], [stored] = client.sent, put
    assert "TemplateBody" not in call
    assert call["TemplateURL"] == f"https://s3.us-east-1.amazonaws.com/artifacts/{stored['Key']}"
    assert stored["Body"] == body.encode()
