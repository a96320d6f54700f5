"""Fixtures that every test may use."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
_APP_MODULES = ("app", "chalicelib", "container")


def require(available: bool, what: str) -> None:
    """Skip where something is not installed; fail instead where DM_REQUIRE says that everything must be."""
    if available:
        return
    if os.environ.get("DM_REQUIRE"):
        pytest.fail(f"{what} is missing, and DM_REQUIRE demands it")
    pytest.skip(f"{what} is missing")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are named by their number: gzip's hold the time, and every worker must find the same tests."""
    return f"{argname}-{len(val)}-bytes" if isinstance(val, bytes) else None


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
