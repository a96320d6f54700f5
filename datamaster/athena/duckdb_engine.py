"""The engine: one DuckDB in memory, with Iceberg and S3 from the wheels, that sees no file of this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb

from datamaster.athena.result_values import (
    TIMESTAMP_FORM,
    athena_type,
    human_readable_seconds,
    java_double,
    java_float,
    trino_double,
    trino_float,
)
from lake.errors import TerminalError

# httpfs first: the others read through it. The wheels hold what INSTALL would download.
EXTENSIONS = ("httpfs", "avro", "iceberg")


FUNCTIONS: dict[Callable[..., str], str] = {
    java_double: "DOUBLE",
    java_float: "FLOAT",
    trino_double: "DOUBLE",
    trino_float: "FLOAT",
    athena_type: "VARCHAR",
    human_readable_seconds: "DOUBLE",
}
"""Functions that the engine lacks, with the type of their argument; each returns text."""
_VARCHAR = f"""CREATE MACRO athena_varchar(a) AS CASE typeof(a)
    WHEN 'TIMESTAMP WITH TIME ZONE' THEN strftime(TRY_CAST(CAST(a AS VARCHAR) AS TIMESTAMPTZ), '{TIMESTAMP_FORM} UTC')
    WHEN 'TIMESTAMP' THEN strftime(TRY_CAST(CAST(a AS VARCHAR) AS TIMESTAMP), '{TIMESTAMP_FORM}')
    WHEN 'DOUBLE' THEN trino_double(TRY_CAST(CAST(a AS VARCHAR) AS DOUBLE))
    WHEN 'FLOAT' THEN trino_float(TRY_CAST(CAST(a AS VARCHAR) AS FLOAT))
    ELSE CAST(a AS VARCHAR) END"""


class MissingExtension(TerminalError):
    """A wheel that carries an extension of the engine is not installed."""


@dataclass(frozen=True)
class S3Access:
    """How S3 is reached. ``endpoint`` is None for AWS's own."""

    endpoint: str | None
    access_key: str
    secret_key: str
    region: str

    @property
    def file_io(self) -> dict[str, str]:
        """The same in PyIceberg's words."""
        properties = {"s3.access-key-id": self.access_key, "s3.secret-access-key": self.secret_key, "s3.region": self.region}
        return properties | ({"s3.endpoint": self.endpoint} if self.endpoint else {})


class Engine:
    """One DuckDB. ``memory_limit`` (for example ``1GB``) covers all statements together. More is spilled to ``spill``."""

    def __init__(self, access: S3Access, memory_limit: str = "1GB", threads: int = 2, spill: Path | None = None) -> None:
        config: dict[str, Any] = {"memory_limit": memory_limit, "threads": threads, "allow_unsigned_extensions": "true"}
        if spill is not None:
            config["temp_directory"] = str(spill)
        self.database = duckdb.connect(config=config)
        for name in EXTENSIONS:
            self.database.execute(f"LOAD '{extension(name)}'")
        self.database.execute(_secret(access))
        for function, argument in FUNCTIONS.items():
            self.database.create_function(function.__name__, function, [argument], "VARCHAR")
        self.database.execute(_VARCHAR)
        self.database.execute("SET GLOBAL TimeZone = 'UTC'")
        # Integers divide to integers in Athena: https://trino.io/docs/current/functions/math.html
        self.database.execute("SET GLOBAL integer_division = true")
        self.database.execute("SET GLOBAL disabled_filesystems = 'LocalFileSystem'")

    def session(self) -> duckdb.DuckDBPyConnection:
        """A connection for one statement. Close it after use."""
        return self.database.cursor()

    def constant(self, expression: str) -> Any:
        """The value of an SQL expression without columns."""
        with self.session() as session:
            return session.execute(f"SELECT {expression}").fetchall()[0][0]


def extension(name: str) -> Path:
    """The path of a DuckDB extension installed by its wheel. Raises ``MissingExtension``."""
    spec = find_spec(f"duckdb_extension_{name}")
    if spec is None or spec.origin is None:
        raise MissingExtension(
            f'package duckdb-extension-{name} is not installed; pip install "duckdb-extension-{name}=={duckdb.__version__}"'
        )
    return Path(spec.origin).parent / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"


def _secret(access: S3Access) -> str:
    options = [f"KEY_ID '{access.access_key}'", f"SECRET '{access.secret_key}'", f"REGION '{access.region}'"]
    if access.endpoint:
        address = urlsplit(access.endpoint)
        options += [f"ENDPOINT '{address.netloc}'", "URL_STYLE 'path'", f"USE_SSL {str(address.scheme == 'https').lower()}"]
    return f"CREATE SECRET (TYPE S3, {', '.join(options)})"
