"""One emulator and one engine for all job tests; each test gets a lake without tables."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest

from datamaster.deploy.changes import launch
from datamaster.deploy.environments import load_environment
from datamaster.local.emulator import start_emulator
from datamaster.local.spark import job_environment, start_spark
from lake.contract_store import publish
from lake.contracts import ContractSet
from tests.conftest import environment_restored

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(Path(__file__).parent))
from domain import Lake  # noqa: E402 - found beside this file


@dataclass(frozen=True)
class Engine:
    """Running processes: ``environment`` leads a job's driver to them, ``names`` are those of table, buckets and contracts."""

    environment: dict[str, str]
    names: dict[str, str]


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The emulator with the stacks of data and control, and Sail on it; no test file's environment is touched."""
    home = tmp_path_factory.mktemp("jobs")
    with start_emulator(home / "emulator") as emulator, start_spark(emulator.environment, home / "sail.log") as spark:
        environment = job_environment(emulator.environment, spark.remote)
        with environment_restored():
            os.environ.update(environment)
            outputs = launch(load_environment("local"), ["catalog", "control"])
        names = {
            "table": outputs["control"]["TableName"],
            "stage": outputs["storage"]["StageBucket"],
            "lake": outputs["storage"]["LakeBucket"],
            "contracts": f"s3://{outputs['storage']['ArtifactsBucket']}/contracts/",
        }
        yield Engine(environment, names)


@pytest.fixture(scope="module")
def engine(services: Engine) -> Iterator[dict[str, str]]:
    """What a job finds in its environment and on its path, for the length of one file. Names of buckets and table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "emr-jobs"))
        os.environ.update(services.environment)
        from catalog import catalog

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
def make_lake(engine: dict[str, str], spark: Any, chalice_app: Callable[..., ModuleType]) -> Callable[[Path], Lake]:
    """``make_lake(folder)``: an empty lake under the contracts of a folder."""

    def make(folder: Path) -> Lake:
        from catalog import catalog

        for database in ("dm_silver", "dm_gold"):
            for name in catalog().list_tables(database):
                catalog().drop_table(name)
        control = boto3.resource("dynamodb").Table(engine["table"])
        with control.batch_writer() as writer:
            for item in control.scan()["Items"]:
                writer.delete_item(Key={"pk": item["pk"], "sk": item["sk"]})
        publish(folder, engine["contracts"])
        return Lake(spark, engine, ContractSet.from_directory(folder), chalice_app)

    return make


@pytest.fixture
def lake(make_lake: Callable[[Path], Lake]) -> Lake:
    """An empty lake under the project's contracts."""
    return make_lake(ROOT / "contracts")


@pytest.fixture
def contracts() -> Path:
    """The folder of the project's contracts."""
    return ROOT / "contracts"
