"""A platform whose gold is full, the console in front of it, and Debian's Chromium."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from datamaster import pipelines, road
from datamaster.console import command
from datamaster.local import platform
from datamaster.local.process import free_port, spawn, stop
from datamaster.source.generate import load_generated

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
    import os

    if not CHROMIUM.exists():
        reason = "/usr/bin/chromium is missing: apt-get install chromium"
        pytest.fail(reason) if os.environ.get("DM_REQUIRE") else pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="session")
def lake(chromium, tmp_path_factory):
    """A running platform whose gold tables hold every month of 12,000 reviews."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")  # put back at the end, whatever up sets
        try:
            running = platform.up(home, seed=lambda dsn: load_generated(dsn, REVIEWS), delivery_seconds=1.0)
            for name, value in running.environment.items():
                patch.setenv(name, value)
            patch.setenv("DM_WORK_GROUP", running.work_group)
            patch.setenv("DM_API_URL", running.api_url)
            road.convert_all(running, platform.silent)
            for layer in ("silver", "gold"):
                assert not pipelines.run(running, layer, platform.silent).failed
            yield running
        finally:
            platform.down(home)


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
