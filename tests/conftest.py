"""Fixtures that every test may use."""

from __future__ import annotations

import importlib
import importlib.util
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import ModuleType

import boto3
import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]
# Two workers take whole files in this order: what takes minutes comes first and what takes a second last, so that they end together.
LONGEST_FIRST = ("e2e", "browser", "integration/jobs", "integration", "unit")
# No assertion is about time: an example may take as long as a busy machine needs.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def require(available: bool, what: str) -> None:
    """Skip where something is not installed; fail instead where DM_REQUIRE says that everything must be."""
    if available:
        return
    if os.environ.get("DM_REQUIRE"):
        pytest.fail(f"{what} is missing, and DM_REQUIRE demands it")
    pytest.skip(f"{what} is missing", allow_module_level=True)


def require_kernel() -> None:
    """``require`` the parse kernel, which is there where Rust was when .venv was made."""
    require(importlib.util.find_spec("dm_kernel") is not None, "the parse kernel (make kernel)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files of tests as ``LONGEST_FIRST`` says; within a folder, and within a file, as they were found."""
    folders = [ROOT / "tests" / name for name in LONGEST_FIRST]
    items.sort(key=lambda item: next((n for n, folder in enumerate(folders) if item.path.is_relative_to(folder)), len(folders)))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are named by their number: gzip's hold the time, and every worker must find the same tests."""
    return f"{argname}-{len(val)}-bytes" if isinstance(val, bytes) else None


@contextmanager
def environment_restored() -> Iterator[None]:
    """Whatever is set meanwhile, by a fixture or by the code under test, is gone afterwards."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="module", autouse=True)
def _environment_of_the_module() -> Iterator[None]:
    """Another file's tests, before or after in the same process, share no environment with this one's, nor boto3's session of it."""
    boto3.DEFAULT_SESSION = None
    with environment_restored():
        yield
    boto3.DEFAULT_SESSION = None


@pytest.fixture(scope="module")
def taken_ports() -> Iterator[None]:
    """Somebody listens on the ports that such services have by default."""
    with ExitStack() as stack:
        for port in (4566, 5432, 8000):
            listener = stack.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):  # taken by somebody else is as good
                listener.bind(("127.0.0.1", port))
                listener.listen()
        yield


def fresh(door: ModuleType) -> ModuleType:
    """An app's door as a new execution environment finds it: nothing read from the environment yet, no client made."""
    for name in ("ingest.settings", "convert.settings", "control_api.settings"):
        if name in sys.modules:
            sys.modules[name].settings.cache_clear()
    return importlib.reload(door)
