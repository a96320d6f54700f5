"""One platform for all groups: the emulator, the engine, PostgreSQL, the road's apps. Each group gets an empty lake and a database."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest

from datamaster.local import postgres
from datamaster.local.replicator.statistics import serve
from lake.contract_store import publish
from lake.contracts import ContractSet

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration" / "jobs")]
from domain import empty, name_the_main_module, running_engine  # noqa: E402 - found by the path above
from group import Group  # noqa: E402
from road import Road  # noqa: E402
from scenarios import Course, Scenario  # noqa: E402
from source import Source, loads_with_moments  # noqa: E402
from source_lake import SourceLake  # noqa: E402

MASK_KEY = "0f" * 32


class Platform:
    """Runs groups. ``engine`` are the names of the deployed stacks."""

    def __init__(self, engine: dict[str, str], spark: Any, server: postgres.Server, app: Callable[..., ModuleType]) -> None:
        self._engine = engine
        self._spark = spark
        self._server = server
        self._app = app
        self._secret = boto3.client("secretsmanager").create_secret(Name="mask-key-of-the-property", SecretString=MASK_KEY)["ARN"]
        self.source: Source | None = None

    def run(self, number: int, scenarios: dict[int, Scenario], course: Course, contracts: str = "contracts_with_changes") -> Group:
        """Run one group from an empty lake and an empty source, under the contracts of a folder. Raises ``Broken``."""
        empty(self._engine)
        publish(HERE / contracts, self._engine["contracts"])
        lake = SourceLake(self._spark, self._engine, ContractSet.from_directory(HERE / contracts), self._app)
        road = Road(self._engine, self._secret, self._app)
        self.source = Source(self._server.dsn)
        try:
            group = Group(number, scenarios, course, self.source, road, lake, self._app("control-api", "chalicelib.batches.settle"))
            group.run()
        finally:
            self.source.close()
        return group


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory, app_modules: Callable[..., ModuleType]) -> Iterator[Platform]:
    home = tmp_path_factory.mktemp("property")
    with running_engine(home) as engine, postgres.start(home / "postgres" / "data") as server, pytest.MonkeyPatch.context() as patch:
        from pyspark.sql import SparkSession

        patch.syspath_prepend(str(HERE.parents[1] / "emr-jobs"))
        name_the_main_module(patch)
        for name, value in {**engine.environment, "CONTRACTS_URI": engine.names["contracts"]}.items():
            patch.setenv(name, value)
        from catalog import catalog

        catalog.cache_clear()
        import key_index
        import lineage

        patch.setattr(key_index, "FROM_FILES", 1)
        patch.setattr(lineage, "CLOCK_SLACK", timedelta(0))  # source and replicator have one clock here
        spark = SparkSession.builder.getOrCreate()
        running = Platform(engine.names, spark, server, app_modules)
        statistics = serve(0, lambda: running.source.statistics() if running.source else [], lambda _: None)
        patch.setenv("AWS_ENDPOINT_URL_DATABASE_MIGRATION_SERVICE", f"http://127.0.0.1:{statistics.server_address[1]}")
        with loads_with_moments(lambda: running.source):
            yield running
        statistics.shutdown()
        spark.stop()
    postgres.forget_data(home / "postgres" / "data")
