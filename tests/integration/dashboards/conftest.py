"""One platform for everything about dashboards, alarms and the console: rows from the source to gold, and a cost report."""

from __future__ import annotations

import boto3
import pytest

from datamaster.aws.deploy.stacks import outputs
from datamaster.cli.session import connect
from datamaster.platform.query import Athena
from tests.platforms import filled_platform

REVIEWS = 4000


@pytest.fixture(scope="session")
def lake(tmp_path_factory):
    """A running platform whose gold tables hold every month of 4,000 reviews."""
    with filled_platform(tmp_path_factory.mktemp("home"), REVIEWS) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def _connected(lake):
    """This process's AWS is the platform's again in every file, whichever test of the one before asked for it first."""
    connect(lake.home)


@pytest.fixture(scope="session")
def athena(lake):
    return Athena(lake.work_group)


@pytest.fixture(scope="session")
def cloudwatch(lake):
    return boto3.client("cloudwatch")


@pytest.fixture(scope="session")
def report(lake):
    """The cost of every line of the generated report."""
    from tests.integration.dashboards.cur import write_report

    return write_report(outputs("dm-local-storage")["CostsBucket"])
