"""A platform whose gold is full, the console in front of it, and Debian's Chromium."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from datamaster.console import command
from datamaster.laptop.process import free_port, spawn, stop
from tests.conftest import require
from tests.platforms import filled_platform

CHROMIUM = Path("/usr/bin/chromium")
REVIEWS = 12_000  # more than a year of them
PATIENCE_SECONDS = 60


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium():
    """Headless Chromium; README.md says how to install it."""
    require(CHROMIUM.exists(), f"{CHROMIUM} (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="session")
def lake(chromium, tmp_path_factory):
    """A running platform whose gold tables hold every month of 12,000 reviews."""
    with filled_platform(tmp_path_factory.mktemp("home"), REVIEWS) as running:
        yield running


@pytest.fixture(scope="session")
def console(lake, tmp_path_factory):
    """The console's address."""
    import os

    port = free_port()
    process: subprocess.Popen[bytes] = spawn(command(port), dict(os.environ), tmp_path_factory.mktemp("console") / "console.log")
    address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):
                break
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    yield address
    stop(process)


@pytest.fixture
def page(chromium, console):
    """An empty tab that knows where the console is."""
    context = chromium.new_context(viewport={"width": 1360, "height": 1000}, base_url=console)
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()
