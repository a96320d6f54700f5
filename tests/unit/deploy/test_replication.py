"""The replication's first start and its end. No emulator has DMS: every call and answer is held to botocore's model of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from datamaster.aws.deploy import deployment, removal
from datamaster.aws.deploy.deployment import deploy
from datamaster.aws.deploy.docker import Made
from datamaster.aws.deploy.environments import Environment, load_environment
from datamaster.aws.deploy.replication import STACK, Replication, ReplicationFailed
from datamaster.aws.deploy.stacks import next_step

CONFIG = "arn:aws:dms:us-east-1:000000000000:replication-config:dm"
TASK = "arn:aws:dms:us-east-1:000000000000:task:dm"
OUTPUTS = {"serverless": {"ReplicationConfigArn": CONFIG, "ReplicationTaskArn": ""}, "task": {"ReplicationTaskArn": TASK}}
KINDS = sorted(OUTPUTS)


class Dms:
    """DMS as it answers, call by call, of a serverless replication or a task on an instance."""

    def __init__(self, kind: str) -> None:
        self.client = boto3.client("dms", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        self.stub = Stubber(self.client)
        self.serverless = kind == "serverless"
        self.replication = Replication.of(OUTPUTS[kind], self.client)

    def says(self, *statuses: str, **more: Any) -> None:
        for status in statuses:
            described = [{"Status": status, **more}] if status else []
            if self.serverless:
                self.stub.add_response("describe_replications", {"Replications": described}, {"Filters": self._named("config", CONFIG)})
            else:
                asked = {"Filters": self._named("task", TASK), "WithoutSettings": True}
                self.stub.add_response("describe_replication_tasks", {"ReplicationTasks": described}, asked)

    def is_told(self, verb: str, **kind: str) -> None:
        if self.serverless:
            self.stub.add_response(f"{verb}_replication", {}, {"ReplicationConfigArn": CONFIG, **kind})
        else:
            task = {name.replace("Replication", "ReplicationTask"): value for name, value in kind.items()}
            self.stub.add_response(f"{verb}_replication_task", {}, {"ReplicationTaskArn": TASK, **task})

    @staticmethod
    def _named(kind: str, arn: str) -> list[dict[str, Any]]:
        return [{"Name": f"replication-{kind}-arn", "Values": [arn]}]


@pytest.fixture(params=KINDS)
def dms(request: pytest.FixtureRequest) -> Iterator[Dms]:
    """At the end every answer was asked for."""
    found = Dms(request.param)
    with found.stub:
        yield found
        found.stub.assert_no_pending_responses()


def test_a_replication_is_started_with_a_load_of_every_table(dms: Dms):
    dms.is_told("start", StartReplicationType="start-replication")

    dms.replication.start()


def test_what_was_made_and_not_started_never_ran(dms: Dms):
    dms.says("created" if dms.serverless else "ready")

    assert dms.replication.never_ran()


def test_a_serverless_replication_of_which_dms_says_nothing_yet_never_ran():
    dms = Dms("serverless")
    dms.says("")
    with dms.stub:
        assert dms.replication.never_ran()


@pytest.mark.parametrize("status", ["starting", "running", "stopping", "stopped", "failed"])
def test_a_replication_in_any_other_state_has_run(dms: Dms, status: str):
    dms.says(status)

    assert not dms.replication.never_ran()


def test_a_task_that_was_changed_after_it_ran_has_run():
    dms = Dms("task")
    dms.says("ready", ReplicationTaskStartDate=datetime(2026, 1, 1, tzinfo=UTC))
    with dms.stub:
        assert not dms.replication.never_ran()


def test_a_running_replication_is_stopped_and_waited_for(dms: Dms):
    dms.says("starting", "running")
    dms.is_told("stop")
    dms.says("stopping", "stopped")

    dms.replication.stop(poll_seconds=0)


def test_a_replication_that_ends_while_it_is_told_to_stop_is_waited_for(dms: Dms):
    dms.says("running")
    dms.stub.add_client_error("stop_replication" if dms.serverless else "stop_replication_task", "InvalidResourceStateFault")
    dms.says("failed")

    dms.replication.stop(poll_seconds=0)


def test_a_replication_that_does_not_run_is_not_stopped(dms: Dms):
    dms.says("stopped")

    dms.replication.stop(poll_seconds=0)


def test_what_dms_refuses_is_told_with_the_next_step(dms: Dms):
    dms.stub.add_client_error("start_replication" if dms.serverless else "start_replication_task", "AccessDeniedException", "not allowed")

    with pytest.raises(ReplicationFailed, match=f"{dms.replication.arn}: it could not be started: .*not allowed\nNext: "):
        dms.replication.start()


def test_a_replication_that_never_stops_is_told(dms: Dms):
    dms.says("stopping")

    with pytest.raises(ReplicationFailed, match='would not stop and is "stopping"'):
        dms.replication.stop(poll_seconds=0, patience=-1)


def test_a_deployment_waits_until_the_replication_runs(dms: Dms):
    dms.says("initialising", "starting", "running")

    dms.replication.await_running(poll_seconds=0)


def test_a_first_start_that_fails_is_told_in_dmss_own_words(dms: Dms):
    reason = {"FailureMessages": ["Test connection failed"]} if dms.serverless else {"LastFailureMessage": "Test connection failed"}
    dms.says("starting")
    dms.says("failed", **reason)

    with pytest.raises(ReplicationFailed, match="it failed: Test connection failed\nNext: "):
        dms.replication.await_running(poll_seconds=0)


def test_a_replication_that_does_not_come_up_is_told_with_its_status(dms: Dms):
    dms.says("starting")

    with pytest.raises(ReplicationFailed, match='it is "starting" after'):
        dms.replication.await_running(poll_seconds=0, patience=-1)


def test_a_replication_that_has_failed_since_is_told(dms: Dms):
    dms.says("failed", **({"FailureMessages": ["slot is gone"]} if dms.serverless else {"StopReason": "slot is gone"}))

    with pytest.raises(ReplicationFailed, match="it failed: slot is gone"):
        dms.replication.refuse_failed()


def dev() -> Environment:
    return load_environment("dev")


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a deployment of all stacks and a removal do, in order: on an account whose stacks are there and whose source never ran."""
    told: list[str] = []
    outputs = {
        STACK: OUTPUTS["task"],
        "ingestion": {"RepositoryUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/dm-converter-dev"},
        "processing-emr": {},
        "storage": {"ArtifactsBucket": "dm-artifacts-dev"},
    }
    monkeypatch.setattr(Replication, "never_ran", lambda _replication: True)
    monkeypatch.setattr(Replication, "start", lambda _replication: told.append("start"))
    monkeypatch.setattr(Replication, "await_running", lambda _replication, _seconds: told.append("wait"))
    monkeypatch.setattr(Replication, "refuse_failed", lambda _replication: told.append("look"))
    monkeypatch.setattr(Replication, "stop", lambda _replication, _seconds: told.append("stop"))
    monkeypatch.setattr(deployment, "launch", lambda *_arguments, **_options: outputs)
    monkeypatch.setattr(deployment, "migrated", lambda *_arguments: told.append("migrations") or ())
    monkeypatch.setattr(deployment, "load_environment", lambda _name: dev().with_variables({"image_tag": "abc", "spark_environment": "x"}))
    monkeypatch.setattr(Made, "absent", lambda *_arguments: [])
    described = [{"OutputKey": name, "OutputValue": value} for name, value in OUTPUTS["task"].items()]
    monkeypatch.setattr(removal, "deployed", lambda _environment: {STACK: {"Outputs": described}})
    monkeypatch.setattr(removal, "delete", lambda *_arguments, **_options: told.append("delete") or [])
    return told


def test_a_deployment_starts_the_replication_after_the_migrations(done: list[str]):
    assert deploy("dev", stacks=["network"]).replication_started
    assert done == ["migrations", "start", "wait"]


def test_a_replication_that_has_run_is_not_started_again(done: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Replication, "never_ran", lambda _replication: False)

    assert not deploy("dev", stacks=["network"]).replication_started
    assert done == ["migrations", "look"]


def test_the_replication_waits_for_what_was_not_pushed_yet(done: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Made, "absent", lambda *_arguments: ["image dm-converter-dev:abc"])

    found = deploy("dev", stacks=["network"])

    assert (found.replication_started, found.replication_waits_for) == (False, ("image dm-converter-dev:abc",))
    assert done == ["migrations"]


def test_a_removal_stops_the_replication_before_its_stack(done: list[str]):
    removal.destroy(dev(), removal.Removal(("streaming",), ()))
    removal.destroy(dev(), removal.Removal((STACK,), ()))

    assert done == ["delete", "stop", "delete"]


def test_a_change_that_dms_takes_of_no_replication_that_ran_is_told_with_the_next_step():
    reason = "Replication: InvalidResourceStateFault: replication config is not in a state to be modified"

    assert "dm destroy --stack streaming-dms" in next_step(reason)
