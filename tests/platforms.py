"""Whole platforms, as a user has them: each in a home of its own, taken down at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from beer.generate import load_generated
from datamaster.cli.session import connect
from datamaster.laptop import lifecycle
from datamaster.laptop.state import State
from datamaster.platform import actions, pipelines
from tests.conftest import environment_restored


@contextmanager
def running_platform(home: Path, **options: Any) -> Iterator[State]:
    """``platform.up`` and its end; in between this process's AWS, API and work group are that platform's."""
    with environment_restored():
        try:
            lifecycle.up(home, **options)
            yield connect(home)
        finally:
            lifecycle.down(home)


@contextmanager
def filled_platform(home: Path, reviews: int) -> Iterator[State]:
    """A platform whose gold tables hold every month of so many reviews."""
    with running_platform(home, seed=lambda dsn: load_generated(dsn, reviews), delivery_seconds=1.0) as running:
        actions.convert_all(running, lifecycle.silent)
        for layer in ("silver", "gold"):
            assert not pipelines.run(running, layer, lifecycle.silent).failed
        yield running
