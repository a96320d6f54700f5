"""The replication's first start and its end. No emulator has DMS: every call and answer is held to botocore's model of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from datamaster.deploy import deployment, removal
from datamaster.deploy.deployment import deploy
from datamaster.deploy.environments import load_environment
from datamaster.deploy.replication import STACK, Replication, ReplicationFailed
from datamaster.deploy.stacks import next_step

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


def test_a_replication_that_never_ran_is_started_with_a_load_of_every_table(dms: Dms):
    dms.says("created" if dms.serverless else "ready")
    dms.is_told("start", StartReplicationType="start-replication")

    assert dms.replication.start()


def test_a_serverless_replication_of_which_dms_says_nothing_yet_is_started():
    dms = Dms("serverless")
    dms.says("")
    dms.is_told("start", StartReplicationType="start-replication")
    with dms.stub:
        assert dms.replication.start()


@pytest.mark.parametrize("status", ["starting", "running", "stopping", "stopped", "failed"])
def test_a_replication_that_has_run_is_left_as_it_is(dms: Dms, status: str):
    dms.says(status)

    assert not dms.replication.start()


def test_a_task_that_was_changed_after_it_ran_is_left_as_it_is():
    dms = Dms("task")
    dms.says("ready", ReplicationTaskStartDate=datetime(2026, 1, 1, tzinfo=UTC))
    with dms.stub:
        assert not dms.replication.start()


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
    dms.stub.add_client_error(
        "describe_replications" if dms.serverless else "describe_replication_tasks", "AccessDeniedException", "not allowed"
    )

    with pytest.raises(ReplicationFailed, match=f"{dms.replication.arn}: it could not be started: .*not allowed\nNext: "):
        dms.replication.start()


def test_a_replication_that_never_stops_is_told(dms: Dms):
    dms.says("stopping")

    with pytest.raises(ReplicationFailed, match='would not stop and is "stopping"'):
        dms.replication.stop(poll_seconds=0, patience=-1)


def test_a_deployment_starts_the_replication_after_the_migrations_and_a_removal_stops_it_before_the_stacks(
    monkeypatch: pytest.MonkeyPatch,
):
    done: list[str] = []

    def started(_replication: Replication) -> bool:
        done.append("start")
        return True

    monkeypatch.setattr(Replication, "start", started)
    monkeypatch.setattr(Replication, "stop", lambda _replication, _seconds: done.append("stop"))
    monkeypatch.setattr(deployment, "launch", lambda *_arguments, **_options: {STACK: OUTPUTS["task"]})
    monkeypatch.setattr(deployment, "migrated", lambda *_arguments: done.append("migrations") or ())
    outputs = [{"OutputKey": name, "OutputValue": value} for name, value in OUTPUTS["task"].items()]
    monkeypatch.setattr(removal, "deployed", lambda _environment: {STACK: {"Outputs": outputs}})
    monkeypatch.setattr(removal, "delete", lambda *_arguments, **_options: done.append("delete"))
    dev = load_environment("dev")

    assert deploy("dev", stacks=["network"]).replication_started
    removal.destroy(dev, removal.Removal(("streaming",), ()))
    removal.destroy(dev, removal.Removal((STACK,), ()))

    assert done == ["migrations", "start", "delete", "stop", "delete"]


def test_a_change_that_dms_takes_of_no_replication_that_ran_is_told_with_the_next_step():
    reason = "Replication: InvalidResourceStateFault: replication config is not in a state to be modified"

    assert "dm destroy --stack streaming-dms" in next_step(reason)
