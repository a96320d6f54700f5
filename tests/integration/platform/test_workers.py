"""Activity workers, with the emulator's own state machines."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest

from datamaster.laptop.emulator import plain_environment
from datamaster.laptop.process import spawn
from datamaster.laptop.workers import ActivityWorker, InvalidTask, Started, start_container
from tests.waiting import eventually

pytestmark = pytest.mark.integration


def machine(name: str) -> tuple[str, str]:
    """A state machine with one task, run by an activity of its own; ARNs of both."""
    states = boto3.client("stepfunctions")
    activity = states.create_activity(name=name)["activityArn"]
    parameters = {"Program.$": "$.program", "Tags": [{"Key": "execution", "Value.$": "$$.Execution.Id"}]}
    definition = {"StartAt": "Run", "States": {"Run": {"Type": "Task", "Resource": activity, "Parameters": parameters, "End": True}}}
    role = "arn:aws:iam::000000000000:role/any"
    return activity, states.create_state_machine(name=name, definition=json.dumps(definition), roleArn=role)["stateMachineArn"]


class Bench:
    """An activity with a worker that runs the program each task names, and its state machine."""

    def __init__(self, name: str, folder: Path) -> None:
        self.activity, self.machine = machine(name)
        self.folder = folder
        self.started: list[Started] = []
        self.states = boto3.client("stepfunctions")
        self.worker = ActivityWorker(self.activity, self.start, folder / "taken")
        threading.Thread(target=self.worker.run, args=(2,), daemon=True).start()

    def start(self, parameters: Mapping[str, Any]) -> Started:
        log = self.folder / f"{len(self.started)}.log"
        process = spawn([sys.executable, "-S", "-c", parameters["Program"]], plain_environment(), log)
        self.started.append(Started(process, log, parameters["Tags"][0]["Value"]))
        return self.started[-1]

    def run(self, program: str) -> str:
        return self.states.start_execution(stateMachineArn=self.machine, input=json.dumps({"program": program}))["executionArn"]

    def end(self, execution: str) -> dict[str, Any]:
        while (described := self.states.describe_execution(executionArn=execution))["status"] == "RUNNING":
            time.sleep(0.1)
        return described


@pytest.fixture
def bench(emulator: object, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(request.node.name[:70], tmp_path)
    yield made
    made.worker.stopping.set()


def test_a_command_that_ends_well_ends_its_task_well(bench: Bench):
    assert bench.end(bench.run("pass"))["status"] == "SUCCEEDED"


def test_a_command_that_fails_fails_its_task_with_code_and_the_end_of_its_log(bench: Bench):
    ended = bench.end(bench.run("import sys; print('no such bucket', file=sys.stderr); sys.exit(3)"))

    assert (ended["status"], ended["error"]) == ("FAILED", "TaskFailed")
    assert "exit code 3" in ended["cause"]
    assert "no such bucket" in ended["cause"]


def test_two_tasks_run_side_by_side(bench: Bench):
    executions = [bench.run("import time; time.sleep(600)") for _ in range(2)]

    eventually(lambda: len(bench.started) == 2 and all(started.process.poll() is None for started in bench.started), "two running tasks")

    for execution in executions:
        bench.states.stop_execution(executionArn=execution)


def test_the_command_of_a_stopped_execution_is_ended(bench: Bench):
    execution = bench.run("import time; time.sleep(600)")
    eventually(lambda: bool(bench.started), "a task")

    bench.states.stop_execution(executionArn=execution)

    eventually(lambda: bench.started[0].process.poll() is not None, "the end of the task")


def test_a_task_whose_worker_was_killed_fails_when_the_worker_comes_back(bench: Bench, tmp_path: Path):
    bench.worker.stopping.set()
    activity, machine_arn = machine("lost")
    bench.machine = machine_arn
    execution = bench.run("pass")
    token = bench.states.get_activity_task(activityArn=activity)["taskToken"]
    notes = tmp_path / "lost"
    notes.mkdir()
    (notes / "a.json").write_text(json.dumps({"token": token}))

    ActivityWorker(activity, bench.start, notes).disown()

    assert bench.end(execution)["error"] == "WorkerLost"
    assert list(notes.iterdir()) == []


def test_a_task_that_cannot_be_run_fails_with_what_it_lacks(tmp_path: Path):
    with pytest.raises(InvalidTask, match=r"Overrides\.ContainerOverrides"):
        start_container({"Cluster": "x"}, {}, tmp_path)
