"""Processes as tests look at them."""

from __future__ import annotations

from collections.abc import Iterable

import psutil

from datamaster.laptop.memory import family


def descendants(pid: int) -> set[psutil.Process]:
    """All processes below ``pid``."""
    return {process for process in family(pid) if process.pid != pid}


def alive(processes: Iterable[psutil.Process]) -> list[str]:
    """Those of them that still run, with id and name. A zombie does not run, and neither does a later process of the same id."""
    return [f"{process.pid} {name}" for process in processes if (name := _name(process))]


def runs(pid: int | None) -> bool:
    """Whether there is such a process, and no zombie."""
    return pid is not None and psutil.pid_exists(pid) and bool(alive(family(pid)[:1]))


def listening(pids: Iterable[psutil.Process]) -> set[str]:
    """The addresses on which processes listen for TCP."""
    connections = [connection for process in pids for connection in process.net_connections("tcp")]
    return {connection.laddr.ip for connection in connections if connection.status == psutil.CONN_LISTEN}


def _name(process: psutil.Process) -> str:
    try:
        running = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        return process.name() if running else ""
    except psutil.NoSuchProcess:
        return ""
