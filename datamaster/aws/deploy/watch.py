"""Callbacks for approval and progress while stacks change, and the wait for several stacks at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from datamaster.aws.deploy.environments import Environment
from datamaster.aws.deploy.stacks import cloudformation

T = TypeVar("T")


@dataclass(frozen=True)
class ResourceChange:
    """A change of one resource. ``action`` is Add, Modify, Remove or Import. ``replaced`` means that a new resource takes its place."""

    action: str
    resource: str
    kind: str
    replaced: bool


@dataclass(frozen=True)
class StackChanges:
    """A change set ready to be executed. ``new`` means that the stack does not exist yet."""

    stack: str
    name: str
    change_set: str
    new: bool
    changes: tuple[ResourceChange, ...]


Approve = Callable[[Sequence[StackChanges]], bool]
Progress = Callable[[str], None]
Finished = Callable[[str, str, float], None]


def everything(_changes: Sequence[StackChanges]) -> bool:
    """Approve every change."""
    return True


def silent(_message: str) -> None:
    """Ignore a message."""


def unseen(_stack: str, _outcome: str, _seconds: float) -> None:
    """Ignore a finished stack."""


@dataclass(frozen=True)
class Watch:
    """Callbacks while stacks change.

    ``approve`` gets the changes of a level before they are made. ``progress`` gets a message about the current wait. ``finished`` gets each
    stack's name, its outcome ("created", "updated", "unchanged", "deleted", "failed") and the seconds it took.
    """

    approve: Approve = everything
    progress: Progress = silent
    finished: Finished = unseen


UNWATCHED = Watch()


class Waiting:
    """Parallel work on several stacks, and the wait for it."""

    def __init__(self, environment: Environment, watch: Watch) -> None:
        self.environment, self.watch = environment, watch
        self.client = cloudformation(environment)
        self.poll_seconds = float(environment.variables["poll_seconds"])
        self._begun: dict[str, float] = {}
        self.interrupted = Event()

    def side_by_side(self, items: Sequence[Any], work: Callable[[Any], T]) -> list[T]:
        """Do work for all items in parallel. The first error is raised after all have ended. An interrupt is raised at once."""
        if not items:
            return []
        with ThreadPoolExecutor(len(items)) as pool:
            try:
                return [future.result() for future in [pool.submit(work, item) for item in items]]
            except KeyboardInterrupt:
                self.interrupted.set()
                raise

    def wait(self, name: str, stack: str) -> str:
        """Wait until no operation runs on a stack (a name or an id). Returns its status."""
        self._begun[name] = time.monotonic()
        while True:
            try:
                [described] = self.client.describe_stacks(StackName=stack)["Stacks"]
            except ClientError as error:
                if "does not exist" in str(error):
                    return "DELETE_COMPLETE"
                raise
            status = str(described["StackStatus"])
            if not status.endswith("IN_PROGRESS") or self.interrupted.wait(self.poll_seconds):
                return status
            now = time.monotonic()
            self.watch.progress(", ".join(f"{other} ({now - begun:.0f} s)" for other, begun in sorted(self._begun.items())))

    def end(self, name: str, outcome: str) -> None:
        """Report the end of work on a stack."""
        self.watch.finished(name, outcome, time.monotonic() - self._begun.pop(name, time.monotonic()))
