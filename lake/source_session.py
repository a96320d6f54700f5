"""Settings of a session on the source, so that the text forms of values do not depend on server, role or shell.

https://www.postgresql.org/docs/current/runtime-config-client.html
"""

from __future__ import annotations

_SETTINGS = {
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "default_transaction_read_only": "off",
}


def session_options(encoding: str = "UTF8") -> str:
    """The ``options`` of a connection whose values arrive in ``encoding``, PostgreSQL's name of an encoding."""
    return " ".join(f"-c {name}={value}" for name, value in {**_SETTINGS, "client_encoding": encoding}.items())


SESSION_OPTIONS = session_options()
