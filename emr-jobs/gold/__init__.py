"""The gold tables: one SQL file each. A new gold table is one new file here.

A file begins with comment lines ``-- name: value`` (``description`` and ``partition`` are required) and holds one SELECT
over the view ``review_flat``, which the job fills with the months to build. The control API reads the same files to know
which tables there are, so this module needs nothing but the standard library.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files

_FRONT_MATTER = re.compile(r"^--\s*(?P<name>[a-z_]+):\s*(?P<value>.+?)\s*$")


class InvalidGoldTable(Exception):
    """A gold file's front matter is incomplete."""


@dataclass(frozen=True)
class GoldTable:
    """One gold table. ``definition`` is a digest of the file: where it changes, the whole table is built again."""

    name: str
    description: str
    partition: tuple[str, str]
    sql: str

    @property
    def definition(self) -> str:
        """What tells one version of the file from another."""
        return hashlib.sha256(self.sql.encode()).hexdigest()[:16]


def gold_tables() -> dict[str, GoldTable]:
    """Every gold table by name. Raises ``InvalidGoldTable``."""
    entries = sorted((entry for entry in files(__name__).iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    tables = (parse(entry.name.removesuffix(".sql"), entry.read_text("utf-8")) for entry in entries)
    return {table.name: table for table in tables}


def parse(name: str, text: str) -> GoldTable:
    """Read one file. Raises ``InvalidGoldTable``."""
    front: dict[str, str] = {}
    for line in text.splitlines():
        match = _FRONT_MATTER.match(line)
        if match is None:
            break
        front[match["name"]] = match["value"]
    missing = [wanted for wanted in ("description", "partition") if wanted not in front]
    if missing:
        raise InvalidGoldTable(f'{name}.sql: no "-- {missing[0]}: …" in the comment lines at its top')
    partition = tuple(part.strip() for part in front["partition"].split(","))
    if len(partition) != 2:
        raise InvalidGoldTable(f'{name}.sql: partition is "{front["partition"]}"; two columns, year and month')
    return GoldTable(name, front["description"], (partition[0], partition[1]), text)
