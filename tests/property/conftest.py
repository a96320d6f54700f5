"""One platform for all groups: the emulator, the engine, PostgreSQL, the road's apps. Each group gets an empty lake and a database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from batches import settle
from datamaster.laptop import postgres
from datamaster.replicator.statistics_endpoint import serve
from lake.contract import ContractSet
from lake.contract.store import publish
from tests.integration.jobs.domain import empty, name_the_main_module, running_engine
from tests.property.group import Group
from tests.property.road import Road
from tests.property.scenarios import Course, Scenario
from tests.property.source import Source, loads_with_moments
from tests.property.source_lake import SourceLake

HERE = Path(__file__).parent

MASK_KEY = "0f" * 32


class Platform:
    """Runs groups. ``engine`` are the names of the deployed stacks."""

    def __init__(self, engine: dict[str, str], spark: Any, server: postgres.Server) -> None:
        self._engine = engine
        self._spark = spark
        self._server = server
        self._secret = boto3.client("secretsmanager").create_secret(Name="mask-key-of-the-property", SecretString=MASK_KEY)["ARN"]
        self.source: Source | None = None

    def run(self, number: int, scenarios: dict[int, Scenario], course: Course, contracts: str = "contracts_with_changes") -> Group:
        """Run one group from an empty lake and an empty source, under the contracts of a folder. Raises ``Broken``."""
        empty(self._engine)
        publish(HERE / contracts, self._engine["contracts"])
        lake = SourceLake(self._spark, self._engine, ContractSet.from_directory(HERE / contracts))
        road = Road(self._engine, self._secret)
        self.source = Source(self._server.dsn)
        try:
            group = Group(number, scenarios, course, self.source, road, lake, settle)
            group.run()
        finally:
            self.source.close()
        return group


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    home = tmp_path_factory.mktemp("property")
    with running_engine(home) as engine, postgres.start(home / "postgres" / "data") as server, pytest.MonkeyPatch.context() as patch:
        from pyspark.sql import SparkSession

        name_the_main_module(patch)
        for name, value in {**engine.environment, "CONTRACTS_URI": engine.names["contracts"]}.items():
            patch.setenv(name, value)
        from jobs.iceberg.catalog import catalog

        catalog.cache_clear()
        from jobs.silver import key_index, lineage

        patch.setattr(key_index, "FROM_FILES", 1)
        patch.setattr(lineage, "CLOCK_SLACK", timedelta(0))  # source and replicator have one clock here
        spark = SparkSession.builder.getOrCreate()
        running = Platform(engine.names, spark, server)
        statistics = serve(0, lambda: running.source.statistics() if running.source else [], lambda _: None)
        patch.setenv("AWS_ENDPOINT_URL_DATABASE_MIGRATION_SERVICE", f"http://127.0.0.1:{statistics.server_address[1]}")
        with loads_with_moments(lambda: running.source):
            yield running
        statistics.shutdown()
        spark.stop()
    postgres.forget_data(home / "postgres" / "data")
