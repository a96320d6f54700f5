"""Whole platforms, as a user has them: each in a home of its own, taken down at the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import psutil
import pytest

from datamaster.laptop.state import State
from tests.platforms import running_platform


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def start_platform() -> Callable[..., AbstractContextManager[State]]:
    """``with start_platform(home, **options) as running``: ``platform.up`` and its end; this process's AWS is that platform's."""
    return running_platform


@pytest.fixture(scope="session")
def processes_with() -> Callable[..., Mapping[int, str]]:
    """``processes_with(word, ...)``: command lines by process id of the processes whose command or environment hold every word."""

    def find(*words: str) -> Mapping[int, str]:
        found = {}
        for process in psutil.process_iter():
            with suppress(psutil.Error):  # it has ended
                command, environment = " ".join(process.cmdline()), process.environ().items()
                said = [command, *(f"{name}={value}" for name, value in environment)]
                if command and process.pid != os.getpid() and all(any(word in text for text in said) for word in words):
                    found[process.pid] = command
        return found

    return find
