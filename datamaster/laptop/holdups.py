"""Reasons why a running platform waits: a source's session, a load, a process that keeps crashing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from datamaster.laptop import state
from datamaster.laptop.process import tail
from datamaster.laptop.replication_state import replication_state
from datamaster.platform.settled import NotSettled
from datamaster.source.connection import SourceRefused, SourceUnreachable

ENOUGH_RESTARTS = 3


class Watched:
    """Some processes of a platform, watched from now on."""

    def __init__(self, home: Path, names: Iterable[str]) -> None:
        self.home = home
        self._before = {name: self._restarts(name) for name in names}

    def look(self) -> str:
        """A description of the problem, or an empty text. Raises ``NotSettled`` for a process that keeps crashing."""
        for name, before in self._before.items():
            process = state.processes(self.home).get(name)
            if process is None or (process["pid"] and process["restarts"] == before):
                continue
            last = tail(self.home / state.LOGS / f"{name}.log", 1).strip()
            if process["restarts"] - before >= ENOUGH_RESTARTS:
                raise NotSettled(f"{name} ends again and again, so nothing can come: {last}; see {self.home / state.LOGS / name}.log")
            return f"{name} ended and is started again: {last}"
        return ""

    def _restarts(self, name: str) -> int:
        return int(state.processes(self.home).get(name, {}).get("restarts", 0))


def replication(home: Path, dsn: str, slot: str) -> Callable[[], str]:
    """A function that describes the current wait between source and stream."""
    watched = Watched(home, ["replicator"])

    def held() -> str:
        if wrong := watched.look():
            return wrong
        try:
            return replication_state(dsn, slot).text
        except (SourceRefused, SourceUnreachable) as error:
            return str(error)

    return held


def processes(home: Path, *names: str) -> Callable[[], str]:
    """A function that describes the current problem of these processes."""
    return Watched(home, names).look
