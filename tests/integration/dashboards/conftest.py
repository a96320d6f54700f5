"""One platform for everything about dashboards, alarms and the console: rows from the source to gold, and a cost report."""

from __future__ import annotations

import sys
from pathlib import Path

import boto3
import pytest

from datamaster import pipelines, road
from datamaster.deploy.stacks import outputs
from datamaster.local import platform
from datamaster.query import Athena
from datamaster.source.generate import load_generated

sys.path.append(str(Path(__file__).parent))
REVIEWS = 4000


@pytest.fixture(scope="session")
def lake(tmp_path_factory):
    """A running platform whose gold tables hold every month of 4,000 reviews."""
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
def athena(lake):
    return Athena(lake.work_group)


@pytest.fixture(scope="session")
def cloudwatch(lake):
    return boto3.client("cloudwatch")


@pytest.fixture(scope="session")
def report(lake):
    """The cost of every line of the generated report."""
    from cur import write_report

    return write_report(outputs("dm-local-storage")["CostsBucket"])
