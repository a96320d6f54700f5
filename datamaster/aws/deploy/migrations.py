"""The source database's definitions: an environment's migrations, each file run once, in the order of names, in a transaction of its own.

The database is private, so statements go by the RDS Data API, which asks for rights of IAM and no way into the network.
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
    """A migration could not be run; what it had done is undone."""

    def __init__(self, name: str, statement: str, reason: str) -> None:
        first = " ".join(statement.split())[:80]
        super().__init__(f"migrations/{name}: {first}: {reason}\nNothing of this file was done. Next: correct it, then dm deploy again")


class SourceStopped(TransientError):
    """The source database does not run, so nobody can ask it for anything: in a pause, as working hours make them."""

    def __init__(self, cluster: str, status: str) -> None:
        start = f"aws rds start-db-cluster --db-cluster-identifier {cluster}"
        super().__init__(f"the stacks are deployed, but {cluster} is {status}: migrations wait\nNext: {start}, then dm deploy again")


class MigrationChanged(TerminalError):
    """A file is not what it was when it was run."""

    def __init__(self, name: str) -> None:
        super().__init__(f"migrations/{name} was changed after it was run. Next: set it back, and write the change into a new file")


@dataclass(frozen=True)
class Database:
    """ARNs of the source's cluster, of its administrator's secret, which RDS keeps, and of the replication user's."""

    cluster: str
    administrator: str
    replication_user: str

    @classmethod
    def of(cls, outputs: Mapping[str, str], region: str) -> Database:
        """By the outputs of the stack ``database``, and what RDS says of its cluster. Raises ``SourceStopped``."""
        rds = boto3.client("rds", region_name=region)
        [cluster] = rds.describe_db_clusters(DBClusterIdentifier=outputs["ClusterArn"])["DBClusters"]
        if cluster["Status"] in NOT_RUNNING:
            raise SourceStopped(cluster["DBClusterIdentifier"], cluster["Status"])
        return cls(outputs["ClusterArn"], cluster["MasterUserSecret"]["SecretArn"], outputs["ReplicationUserArn"])


def migrate(database: Database, region: str, folder: Path) -> list[str]:
    """Make the replication user where there is none, and run the files that were not run yet; returns their names.

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
    """The statements of a file, bodies of functions whole: the Data API takes one at a time."""
    found, begun = [], 0
    for token in Dialect.get_or_raise("postgres").tokenize(text):
        if token.token_type == TokenType.SEMICOLON:
            found.append(text[begun : token.start])
            begun = token.end + 1
    return [bare for statement in [*found, text[begun:]] if (bare := _without_comments(statement))]


def _without_comments(statement: str) -> str:
    """A statement without the comment lines before it: the Data API looks for parameters in them too."""
    lines = statement.strip().splitlines()
    return "\n".join(dropwhile(lambda line: not line.strip() or line.lstrip().startswith("--"), lines)).strip()


class _Session:
    def __init__(self, database: Database, region: str) -> None:
        self._database, self._region = database, region
        self._client = boto3.client("rds-data", region_name=region)
        self._place = {"resourceArn": database.cluster, "secretArn": database.administrator}

    def apply(self, name: str, found: Sequence[str], checksum: str) -> None:
        """Run one file and write down that it was."""
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
        """The user of the secret, with its password of now; later ones are the rotation's."""
        secrets = boto3.client("secretsmanager", region_name=self._region)
        secret = json.loads(secrets.get_secret_value(SecretId=self._database.replication_user)["SecretString"])
        name = secret["username"]
        if self.rows("SELECT rolname, rolname FROM pg_roles WHERE rolname = :name", name=name):
            return
        password = secret["password"].replace("'", "''")
        self.run("the replication user", f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        self.run("the replication user", f"GRANT {REPLICATION} TO {name}")

    def rows(self, statement: str, **values: str) -> list[tuple[str, ...]]:
        """The rows of a question whose columns are texts."""
        answer = self.run("dm_migrations", statement, **values)
        return [tuple(cell["stringValue"] for cell in row) for row in answer.get("records", [])]

    def run(self, file: str, statement: str, transaction: str = "", **values: str) -> dict[str, Any]:
        """Run one statement for a file; values go by name. Raises ``MigrationFailed``."""
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
