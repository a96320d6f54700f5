"""One emulator and one engine for all job tests; each test gets a lake without tables."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from beer import CONTRACTS
from lake.contract import ContractSet
from lake.contract.store import publish
from tests.integration.jobs.domain import Engine, Lake, empty, name_the_main_module, running_engine


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The emulator with the stacks of data and control, and Sail on it; no test file's environment is touched."""
    with running_engine(tmp_path_factory.mktemp("jobs")) as running:
        yield running


@pytest.fixture(scope="module")
def engine(services: Engine) -> Iterator[dict[str, str]]:
    """What a job finds in its environment and on its path, for the length of one file. Names of buckets and table."""
    with pytest.MonkeyPatch.context() as patch:
        name_the_main_module(patch)
        os.environ.update(services.environment)
        from jobs.iceberg.catalog import catalog

        catalog.cache_clear()
        yield services.names


@pytest.fixture(scope="module")
def spark(engine: dict[str, str]) -> Iterator[Any]:
    """A session for one file: Sail forgets a session that nobody used for a while, as other files' tests may take."""
    from pyspark.sql import SparkSession

    session = SparkSession.builder.getOrCreate()
    yield session
    session.stop()


@pytest.fixture
def make_lake(engine: dict[str, str], spark: Any) -> Callable[[Path], Lake]:
    """``make_lake(folder)``: an empty lake under the contracts of a folder."""

    def make(folder: Path) -> Lake:
        empty(engine)
        publish(folder, engine["contracts"])
        return Lake(spark, engine, ContractSet.from_directory(folder))

    return make


@pytest.fixture
def lake(make_lake: Callable[[Path], Lake]) -> Lake:
    """An empty lake under the project's contracts."""
    return make_lake(CONTRACTS)


@pytest.fixture
def contracts() -> Path:
    """The folder of the project's contracts."""
    return CONTRACTS
