"""An environment's migrations of the source database: each file runs once, in order of names, in its own transaction.

The database is private. So statements go through the RDS Data API, which needs IAM rights and no network path.
https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/data-api.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from sqlglot import Dialect, TokenType

from lake.errors import TerminalError, TransientError

DATABASE = "datamaster"
REPLICATION = "rds_replication"
NOT_RUNNING = ("stopping", "stopped", "starting")
"""https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/accessing-monitoring.html"""
RECORDS = """
CREATE TABLE IF NOT EXISTS public.dm_migrations (
    name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())
"""


class MigrationFailed(TerminalError):
    """A migration failed and was rolled back."""

    def __init__(self, name: str, statement: str, reason: str) -> None:
        first = " ".join(statement.split())[:80]
        super().__init__(f"migrations/{name}: {first}: {reason}\nNothing of this file was done. Next: correct it, then dm deploy again")


class SourceStopped(TransientError):
    """The source database is stopped, for example outside working hours."""

    def __init__(self, cluster: str, status: str) -> None:
        start = f"aws rds start-db-cluster --db-cluster-identifier {cluster}"
        super().__init__(f"the stacks are deployed, but {cluster} is {status}: migrations wait\nNext: {start}, then dm deploy again")


class MigrationChanged(TerminalError):
    """A migration's file was changed after it ran."""

    def __init__(self, name: str) -> None:
        super().__init__(f"migrations/{name} was changed after it was run. Next: set it back, and write the change into a new file")


@dataclass(frozen=True)
class Database:
    """ARNs of the source's cluster, of its administrator's secret (managed by RDS), and of the replication user's secret."""

    cluster: str
    administrator: str
    replication_user: str

    @classmethod
    def of(cls, outputs: Mapping[str, str], region: str) -> Database:
        """Take the ARNs from the outputs of the stack ``database`` and from RDS. Raises ``SourceStopped``."""
        rds = boto3.client("rds", region_name=region)
        [cluster] = rds.describe_db_clusters(DBClusterIdentifier=outputs["ClusterArn"])["DBClusters"]
        if cluster["Status"] in NOT_RUNNING:
            raise SourceStopped(cluster["DBClusterIdentifier"], cluster["Status"])
        return cls(outputs["ClusterArn"], cluster["MasterUserSecret"]["SecretArn"], outputs["ReplicationUserArn"])


def migrate(database: Database, region: str, folder: Path) -> list[str]:
    """Create the replication user if it is missing, and run new migrations. Returns the names of the files that ran.

    Raises ``MigrationFailed`` and ``MigrationChanged``.
    """
    session = _Session(database, region)
    session.run("dm_migrations", RECORDS)
    session.make_replication_user()
    done = {row[0]: row[1] for row in session.rows("SELECT name, checksum FROM public.dm_migrations")}
    applied = []
    for path in sorted(folder.glob("*.sql")):
        checksum = hashlib.sha256(path.read_bytes()).hexdigest()
        if path.name not in done:
            session.apply(path.name, statements(path.read_text()), checksum)
            applied.append(path.name)
        elif done[path.name] != checksum:
            raise MigrationChanged(path.name)
    return applied


def statements(text: str) -> list[str]:
    """The statements of a file, because the Data API takes one at a time. Function bodies stay whole."""
    found, begun = [], 0
    for token in Dialect.get_or_raise("postgres").tokenize(text):
        if token.token_type == TokenType.SEMICOLON:
            found.append(text[begun : token.start])
            begun = token.end + 1
    return [bare for statement in [*found, text[begun:]] if (bare := _without_comments(statement))]


def _without_comments(statement: str) -> str:
    """A statement without the comment lines before it, because the Data API looks for parameters in comments too."""
    lines = statement.strip().splitlines()
    return "\n".join(dropwhile(lambda line: not line.strip() or line.lstrip().startswith("--"), lines)).strip()


class _Session:
    def __init__(self, database: Database, region: str) -> None:
        self._database, self._region = database, region
        self._client = boto3.client("rds-data", region_name=region)
        self._place = {"resourceArn": database.cluster, "secretArn": database.administrator}

    def apply(self, name: str, found: Sequence[str], checksum: str) -> None:
        """Run one file and record it."""
        transaction = self._client.begin_transaction(**self._place, database=DATABASE)["transactionId"]
        try:
            for statement in found:
                self.run(name, statement, transaction)
            record = "INSERT INTO public.dm_migrations (name, checksum) VALUES (:name, :checksum)"
            self.run(name, record, transaction, name=name, checksum=checksum)
        except MigrationFailed:
            self._client.rollback_transaction(**self._place, transactionId=transaction)
            raise
        self._client.commit_transaction(**self._place, transactionId=transaction)

    def make_replication_user(self) -> None:
        """Create the secret's user with its current password. Later passwords are set by the rotation."""
        secrets = boto3.client("secretsmanager", region_name=self._region)
        secret = json.loads(secrets.get_secret_value(SecretId=self._database.replication_user)["SecretString"])
        name = secret["username"]
        if self.rows("SELECT rolname, rolname FROM pg_roles WHERE rolname = :name", name=name):
            return
        password = secret["password"].replace("'", "''")
        self.run("the replication user", f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        self.run("the replication user", f"GRANT {REPLICATION} TO {name}")

    def rows(self, statement: str, **values: str) -> list[tuple[str, ...]]:
        """The rows of a query whose columns are all texts."""
        answer = self.run("dm_migrations", statement, **values)
        return [tuple(cell["stringValue"] for cell in row) for row in answer.get("records", [])]

    def run(self, file: str, statement: str, transaction: str = "", **values: str) -> dict[str, Any]:
        """Run one statement of a file, with ``values`` as named parameters. Raises ``MigrationFailed``."""
        call: dict[str, Any] = {**self._place, "database": DATABASE, "sql": statement}
        call |= {"transactionId": transaction} if transaction else {}
        call |= {"parameters": [{"name": key, "value": {"stringValue": value}} for key, value in values.items()]} if values else {}
        try:
            answer: dict[str, Any] = self._client.execute_statement(**call)
        except ClientError as error:
            shown = statement.split(" PASSWORD ")[0]
            raise MigrationFailed(file, shown, error.response["Error"]["Message"]) from error
        except BotoCoreError as error:
            raise MigrationFailed(file, statement.split(" PASSWORD ")[0], str(error)) from error
        return answer
