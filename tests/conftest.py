"""Fixtures that every test may use."""

from __future__ import annotations

import importlib
import importlib.util
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import ModuleType

import boto3
import pytest

ROOT = Path(__file__).resolve().parents[1]
# Two workers take whole files in this order: what takes minutes comes first and what takes a second last, so that they end together.
LONGEST_FIRST = ("e2e", "browser", "integration/jobs", "integration", "unit")
_APP_MODULES = ("app", "chalicelib", "container")


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


def _take_app_modules() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.split(".")[0] in _APP_MODULES]
    return {name: sys.modules.pop(name) for name in names}


@contextmanager
def on_path(app: str) -> Iterator[None]:
    """Put one app's folder on the path: every app calls its modules ``app`` and ``chalicelib``."""
    before = _take_app_modules()
    folders = [str(ROOT / app), str(ROOT / app / "vendor")]
    sys.path[:0] = folders[:1]
    sys.path += folders[1:]
    try:
        yield
    finally:
        for folder in folders:
            sys.path.remove(folder)
        _take_app_modules()
        sys.modules.update(before)


@pytest.fixture
def chalice_app() -> Iterator[Callable[..., ModuleType]]:
    """``chalice_app("converter")`` imports that app; ``chalice_app("converter", "chalicelib.parse")`` a module of it.

    One app a test. The modules are taken away again afterwards.
    """
    with ExitStack() as stack:
        entered: list[str] = []

        def load(app: str, module: str = "app") -> ModuleType:
            if app not in entered:
                stack.enter_context(on_path(app))
                entered.append(app)
            return importlib.import_module(module)

        yield load


@pytest.fixture(scope="session")
def app_modules() -> Callable[..., ModuleType]:
    """As ``chalice_app``, for a test that more than one app takes part in: each keeps its own modules, none is left to be imported."""
    loaded: dict[str, dict[str, ModuleType]] = {}

    def load(app: str, module: str = "app") -> ModuleType:
        with on_path(app):
            sys.modules.update(loaded.get(app, {}))
            found = importlib.import_module(module)
            loaded[app] = _take_app_modules()
        return found

    return load
