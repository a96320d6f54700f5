"""Connect to a user's database. An error is one line with the next step, and never shows a password."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias
from urllib.parse import urlsplit

import psycopg2
import psycopg2.extensions

from lake.errors import TerminalError, TransientError

CONNECT_SECONDS = 10
FORM = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
CURES = (
    ("could not translate host name", "check the host's name"),
    ("Connection refused", "is PostgreSQL running there, does it listen on that address, does a firewall stand between?"),
    ("timeout expired", "does a firewall or a security group let this machine in?"),
    ("password authentication failed", "check user and password; characters such as @ : / # in a password are written %40 %3A %2F %23"),
    ("no password supplied", f"put the password into the address, {FORM}, or into PGPASSWORD"),
    ("role ", "check the user's name in the address"),
    (
        "no pg_hba.conf entry",
        "let this user and this machine in by a line of pg_hba.conf, or set sslmode=require behind a ? in the address",
    ),
    ("unsupported startup parameter", "this is a pooler such as pgbouncer; give PostgreSQL's own address and port"),
    ("prepared statement", "this is a pooler in transaction mode; give PostgreSQL's own address and port"),
    ("too many clients", "raise max_connections, or end sessions that idle"),
    ("remaining connection slots are reserved", "raise max_connections, or end sessions that idle"),
    ("invalid integer value", f"expected {FORM}"),
    ("certificate", "check sslmode and sslrootcert in the address"),
)
REFUSED = (
    "invalid integer value",
    "password authentication failed",
    "no password supplied",
    "does not exist",
    "unsupported startup parameter",
    "no pg_hba.conf",
)

Connection: TypeAlias = psycopg2.extensions.connection


class SourceUnreachable(TransientError):
    """The database does not answer."""


class SourceRefused(TerminalError):
    """The address is invalid, or the database rejects this user."""


@contextmanager
def connected(dsn: str, options: str = "") -> Iterator[Connection]:
    """A connection that is closed at the end. Raises ``SourceRefused``, ``SourceUnreachable``."""
    connection = connect(dsn, options)
    try:
        yield connection
    finally:
        connection.close()


def connect(dsn: str, options: str = "", factory: type[Connection] | None = None) -> Connection:
    """Connect to the database at ``dsn``. Raises ``SourceRefused``, ``SourceUnreachable``."""
    _readable(dsn)
    settings = {"options": options} if options else {}
    try:
        return psycopg2.connect(dsn, connect_timeout=CONNECT_SECONDS, connection_factory=factory, **settings)
    except psycopg2.OperationalError as error:
        raise _translated(dsn, str(error)) from error


def shown(dsn: str) -> str:
    """The address without its password."""
    hidden = re.sub(r"(//[^:/@]*):.*@", r"\1:…@", dsn)
    return re.sub(r"(password=)('[^']*'|\S+)", r"\1…", hidden, flags=re.IGNORECASE)


def _readable(dsn: str) -> None:
    try:
        settings = psycopg2.extensions.parse_dsn(dsn)
    except psycopg2.ProgrammingError as error:
        reason = str(error).removeprefix("invalid dsn: ").strip()
        if "://" in dsn and not dsn.startswith(("postgresql://", "postgres://")):
            reason = f'"{urlsplit(dsn).scheme}://" is not PostgreSQL\'s'
        raise SourceRefused(f'source "{shown(dsn)}" is no address of a database: {reason}; expected {FORM}') from error
    if not settings:
        raise SourceRefused(f"the source's address is empty; expected {FORM}")


def _translated(dsn: str, message: str) -> SourceUnreachable | SourceRefused:
    line = " ".join(message.split())
    line = re.sub(r"^connection to server (at|on socket) .*? failed: ", "", line).removeprefix("FATAL: ").strip()
    line = re.sub(r" Is the server running .*$", "", line)
    cure = next((f"; {cure}" for words, cure in CURES if words in line), "")
    if re.search(r'database ".*" does not exist', line):
        cure = "; check the name behind the last / of the address"
    kind = SourceRefused if any(words in line for words in REFUSED) else SourceUnreachable
    return kind(f"source {shown(dsn)}: {line}{cure}")
