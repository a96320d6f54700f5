"""A running platform's state in <home>/state.json: endpoints, names of deployed resources, processes."""

from __future__ import annotations

import fcntl
import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datamaster.platform import Platform, Progress
from lake.errors import TransientError

if TYPE_CHECKING:
    from datamaster.platform.picture import Picture
    from ingest.refused_records import Group, Refused
    from lake.control.inbox import Selection

STATE = "state.json"
PROCESSES = "processes.json"
LOCK = "supervisor.lock"
LOGS = "logs"


class PlatformNotRunning(TransientError):
    """No platform runs in this home."""

    def __init__(self, home: Path) -> None:
        super().__init__(f"no platform runs in {home}; start one with dm up")


class PlatformRunning(TransientError):
    """Another platform runs in this home."""

    def __init__(self, home: Path, pid: int | None) -> None:
        owner = f", process {pid}" if pid else ""
        super().__init__(f"a platform runs in {home} already{owner}; dm status shows it, dm down stops it, --home starts another elsewhere")


@dataclass(frozen=True)
class State(Platform):
    """A platform on this machine. ``contracts`` is the folder that its tables were read from."""

    home: Path
    slot: str
    contracts: Path

    @property
    def logs(self) -> Path:
        """One file a process."""
        return self.home / LOGS

    @property
    def capture_slot(self) -> str:
        """The replicator's slot."""
        return self.slot

    @property
    def delivery(self) -> Path:
        """The folder of the delivery worker's checkpoint and flush requests."""
        return self.home / "delivery"

    @property
    def checkpoint(self) -> Path:
        """How far the delivery worker has come."""
        return self.delivery / "checkpoint.json"

    @property
    def pids(self) -> dict[str, int]:
        """The process ids by name, the supervisor's included, as they are now."""
        pids = {name: process["pid"] for name, process in processes(self.home).items() if process["pid"]}
        owner = owner_of(self.home)
        return pids | ({"supervisor": owner} if owner else {})

    def settle(self, progress: Progress) -> Counter[str]:
        """Wait for the source's current position, stage by stage. Raises ``NotSettled``."""
        from datamaster.laptop import settling

        return settling.settle(self, progress)

    def refusals(self, selection: Selection) -> tuple[list[Group], list[Refused]]:
        """Those of the router and those that the replicator left out. Raises ``SourceRefused``, ``SourceUnreachable``."""
        from datamaster.laptop import platform_troubles

        return platform_troubles.refusals(self, selection=selection)

    def picture(self) -> Picture:
        """Processes and source too."""
        from datamaster.laptop import platform_troubles

        return platform_troubles.picture(self)

    def save(self) -> None:
        """Write <home>/state.json."""
        text = json.dumps({name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}, indent=1)
        write(self.home / STATE, text)


def load(home: Path) -> State:
    """The platform that runs in ``home``. Raises ``PlatformNotRunning``."""
    if owner_of(home) is None:
        raise PlatformNotRunning(home)
    return last(home)


def last(home: Path) -> State:
    """The platform that runs in ``home``, or ran there until it was killed. Raises ``PlatformNotRunning``."""
    path = home / STATE
    if not path.exists():
        raise PlatformNotRunning(home)
    values = json.loads(path.read_text())
    return State(**values | {"home": Path(values["home"]), "contracts": Path(values["contracts"])})


def processes(home: Path) -> dict[str, dict[str, Any]]:
    """The supervisor's children by name: pid (null while it is down), restarts, last exit code."""
    path = home / PROCESSES
    found: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}
    return found


def owner_of(home: Path) -> int | None:
    """The process id of the supervisor that holds ``home``, or None."""
    path = home / LOCK
    if not path.exists():
        return None
    with path.open("r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = path.read_text().strip()
            return int(text) if text else 0
    return None


def write(path: Path, text: str) -> None:
    """Replace a file so that a reader sees the old text or the new."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)
