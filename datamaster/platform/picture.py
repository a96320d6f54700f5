"""Everything that needs a person: troubles, files by status, and the state of the replication."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from control_api.troubles import Trouble, shortened
from datamaster.platform import Platform, api_client
from datamaster.platform.api_client import ApiRefused, ApiUnreachable
from datamaster.platform.table_loads import FAILED
from ingest.refused_records import NO_TABLE, Group
from lake.control.records import STATUSES


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
        troubles = [asdict(trouble) for trouble in self.troubles]
        return {**vars(self), "troubles": troubles, "healthy": self.healthy}


def of_api(running: Platform, look: str) -> tuple[list[Trouble], Mapping[str, int]]:
    """Troubles of tables and files, and the number of files by status. ``look`` helps if the API does not answer."""
    try:
        return [Trouble(**found) for found in api_client.list_troubles()], by_status(api_client.list_tables()["tables"])
    except (ApiRefused, ApiUnreachable) as error:
        return [Trouble("control API", running.api_url, str(error), look)], {}


def of_refused(groups: Iterable[Group]) -> Iterator[Trouble]:
    """Refused rows that no later load has made good, by table and reason."""
    for group in groups:
        if group.open:
            kind, given = f"rows that the {group.by} refused", "" if group.table == NO_TABLE else f" --table {group.table}"
            yield Trouble(kind, group.table, shortened(group.reason), f"dm errors show{given}", group.open, moment(group.oldest))


def moment(at: datetime) -> str:
    """A time as the control records write it, to the second."""
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def by_status(tables: list[dict[str, Any]]) -> Counter[str]:
    """The number of files in each status."""
    return Counter({status: sum(table["files"][status] for table in tables) for status in STATUSES})


def unreadable(table: str, state: str) -> list[Trouble]:
    """The trouble of a table that the replication gave up."""
    return [Trouble("table that cannot be read", table, state, "dm errors ls; the replication's log")] if state == FAILED else []
