"""Run a state machine's ECS and EMR Serverless tasks as processes, with the same parameters and commands.

On a laptop a state machine's ``Resource`` is an activity. A worker polls it, runs the task and answers. It ends the process if the
execution is over. https://docs.aws.amazon.com/step-functions/latest/dg/concepts-activities.html
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from datamaster.laptop.drivers import preload
from datamaster.laptop.process import Process, spawn, stop, tail
from datamaster.laptop.spark import job_environment, job_log, run_job
from datamaster.project import PROJECT
from lake.errors import TerminalError

CONVERTER = PROJECT / "converter"
CAUSE_CHARACTERS = 30_000
LOOK_SECONDS = 1.0
PAUSE_SECONDS = 1.0
POLL_TIMEOUT_SECONDS = 75
CLIENT = Config(read_timeout=POLL_TIMEOUT_SECONDS, retries={"total_max_attempts": 1})

logger = logging.getLogger("workers")


class InvalidTask(TerminalError):
    """The parameters do not describe a task that can be run."""


@dataclass(frozen=True)
class Started:
    """A task's process, its log, its execution ("" if unknown), and its time limit."""

    process: Process
    log: Path
    execution: str
    limit_seconds: float = float("inf")


def start_container(parameters: Mapping[str, Any], environment: Mapping[str, str], directory: Path) -> Started:
    """Run the converter's command as RunTask's ``parameters`` say. Raises ``InvalidTask``.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html
    """
    try:
        command = [str(word) for word in parameters["Overrides"]["ContainerOverrides"][0]["Command"]]
    except (KeyError, IndexError, TypeError):
        raise InvalidTask("RunTask parameters without Overrides.ContainerOverrides[0].Command, the words after the entry point") from None
    execution = next((tag["Value"] for tag in parameters.get("Tags", ()) if tag.get("Key") == "execution"), "")
    log = directory / "containers" / f"{execution.rsplit(':', 1)[-1] or 'container'}.log"
    process = spawn([sys.executable, "-m", "convert.container", *command], environment, log, CONVERTER)
    return Started(process, log, execution)


def start_job(parameters: Mapping[str, Any], environment: Mapping[str, str], directory: Path) -> Started:
    """Run a Spark job as StartJobRun's ``parameters`` say. Raises ``InvalidJob``."""
    folder = directory / "jobs"
    folder.mkdir(parents=True, exist_ok=True)
    process = run_job(parameters, environment, folder)
    limit = float(parameters.get("ExecutionTimeoutMinutes", 0)) * 60 or float("inf")
    return Started(process, job_log(parameters, folder), parameters.get("Tags", {}).get("execution", ""), limit)


Starter = Callable[[Mapping[str, Any]], Started]


class ActivityWorker:
    """Takes tasks of one activity, as many at once as it has threads."""

    def __init__(self, activity: str, start: Starter, notes: Path) -> None:
        self.activity = activity
        self.start = start
        self.notes = notes
        self.states = boto3.client("stepfunctions", config=CLIENT)
        self.stopping = threading.Event()
        notes.mkdir(parents=True, exist_ok=True)

    def run(self, parallel: int) -> None:
        """Work until ``stopping`` is set. Then end the running processes and fail their tasks."""
        self.disown()
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(parallel)]
        for thread in threads:
            thread.start()
        self.stopping.wait()
        deadline = time.monotonic() + 2 * LOOK_SECONDS
        while any(self.notes.iterdir()) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS / 10)

    def disown(self) -> None:
        """Fail the tasks that an earlier worker had taken when it was killed, so that the state machine tries again."""
        for note in self.notes.iterdir():
            self._fail(json.loads(note.read_text())["token"], "WorkerLost", "the worker that ran this task was killed")
            note.unlink()

    def _work(self) -> None:
        while not self.stopping.is_set():
            try:
                task = self.states.get_activity_task(activityArn=self.activity, workerName=f"{os.getpid()}")
            except (BotoCoreError, ClientError) as error:
                logger.warning("no answer about tasks: %s", error)
                self.stopping.wait(PAUSE_SECONDS)
                continue
            if task.get("taskToken"):
                self.take(task["taskToken"], task["input"])

    def take(self, token: str, text: str) -> None:
        """Run one task and answer for it. Until then its note holds token, process id and log."""
        note = self.notes / f"{token[-36:]}.json"
        note.write_text(json.dumps({"token": token}))
        try:
            started = self.start(json.loads(text))
            note.write_text(json.dumps({"token": token, "pid": started.process.pid, "log": str(started.log)}))
            code, reason = self._watch(started)
            if code == 0:
                self._answer(self.states.send_task_success, taskToken=token, output="{}")
            elif reason:
                self._fail(token, "Stopped", reason)
            else:
                self._fail(token, "TaskFailed", f"exit code {code}\n{tail(started.log, 60)}")
        except Exception as error:
            logger.exception("a task could not be run")
            self._fail(token, type(error).__name__, str(error))
        finally:
            note.unlink()

    def _watch(self, started: Started) -> tuple[int, str]:
        """Wait for a task's process, or end it if its execution is over. Returns the exit code, and the reason if it was ended."""
        begin = time.monotonic()
        reason = ""
        while started.process.poll() is None and not reason:
            try:
                started.process.wait(LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                reason = self._obsolete(started, time.monotonic() - begin)
        stop(started.process)
        if reason:
            logger.warning("process %d was ended: %s", started.process.pid, reason)
        return started.process.returncode, reason

    def _obsolete(self, started: Started, seconds: float) -> str:
        if self.stopping.is_set():
            return "the worker is being stopped"
        if seconds > started.limit_seconds:
            return f"it took longer than {started.limit_seconds:.0f} s"
        if not started.execution:
            return ""
        try:
            status = self.states.describe_execution(executionArn=started.execution)["status"]
        except (BotoCoreError, ClientError):
            return ""
        return "" if status == "RUNNING" else f"its execution is {status}"

    def _fail(self, token: str, error: str, cause: str) -> None:
        self._answer(self.states.send_task_failure, taskToken=token, error=error, cause=cause[-CAUSE_CHARACTERS:])

    def _answer(self, call: Callable[..., Any], **answer: str) -> None:
        try:
            call(**answer)
        except ClientError as error:  # the execution is over: nobody waits for the answer
            logger.info("an answer was not taken: %s", error)


def main() -> int:
    """Take tasks until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m datamaster.laptop.workers", description=__doc__)
    parser.add_argument("kind", choices=("containers", "jobs"))
    parser.add_argument("--activity", required=True, help="ARN of the activity to take tasks from")
    parser.add_argument("--directory", type=Path, required=True, help="where logs and downloads lie")
    parser.add_argument("--parallel", type=int, default=1, help="tasks at once")
    parser.add_argument("--spark", default="", help="Spark Connect address, for jobs")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    environment = dict(os.environ)
    directory = chosen.directory.resolve()

    def start(parameters: Mapping[str, Any]) -> Started:
        if chosen.kind == "containers":
            return start_container(parameters, environment, directory)
        return start_job(parameters, job_environment(environment, chosen.spark), directory)

    if chosen.kind == "jobs":
        preload()
    worker = ActivityWorker(chosen.activity, start, directory / f"{chosen.kind}-taken")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stopping.set())
    worker.run(chosen.parallel)
    return 0


if __name__ == "__main__":
    sys.exit(main())
