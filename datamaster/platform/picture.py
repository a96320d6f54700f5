"""Everything that needs a person: troubles, files by status, and the state of the replication."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from datamaster.platform import Platform, api_client
from datamaster.platform.api_client import ApiRefused, ApiUnreachable
from datamaster.platform.table_loads import FAILED
from datamaster.platform.troubles import Trouble, of_files, of_tables
from lake.control.records import STATUSES

LISTED_FILES = 1_000


@dataclass(frozen=True)
class Picture:
    """``replication`` describes it, with a line of text as "state". It is None if nothing answers. ``processes`` are a laptop's."""

    troubles: tuple[Trouble, ...]
    files: Mapping[str, int]
    replication: Mapping[str, Any] | None
    processes: Mapping[str, Mapping[str, Any]]
    place: str

    @property
    def healthy(self) -> bool:
        """Every process runs."""
        return all(process["pid"] for process in self.processes.values())

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        troubles = [trouble.as_dict() for trouble in self.troubles]
        return {**vars(self), "troubles": troubles, "healthy": self.healthy}


def of_api(running: Platform, look: str) -> tuple[list[Trouble], Mapping[str, int]]:
    """Troubles of tables and files, and the number of files by status. ``look`` helps if the API does not answer."""
    try:
        tables = api_client.list_tables()["tables"]
        return [*of_tables(tables), *of_files(api_client.list_files(limit=LISTED_FILES))], by_status(tables)
    except (ApiRefused, ApiUnreachable) as error:
        return [Trouble("control API", running.api_url, str(error), look)], {}


def by_status(tables: list[dict[str, Any]]) -> Counter[str]:
    """The number of files in each status."""
    return Counter({status: sum(table["files"][status] for table in tables) for status in STATUSES})


def unreadable(table: str, state: str) -> list[Trouble]:
    """The trouble of a table that the replication gave up."""
    return [Trouble("table that cannot be read", table, state, "dm errors ls; the replication's log")] if state == FAILED else []
