"""The connection of a command to the platform."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from datamaster.laptop import state
from datamaster.laptop.state import PlatformNotRunning, State
from lake import clients

Home = Annotated[Path, typer.Option("--home", help="Where the platform keeps its state.", file_okay=False, envvar="DM_HOME")]


def connect(home: Path) -> State:
    """The running platform's state. Puts its endpoints and credentials into this process's environment.

    Raises ``PlatformNotRunning``.
    """
    running = state.load(home)
    os.environ.update(running.environment)
    os.environ |= {
        "DM_WORK_GROUP": running.work_group,
        "DM_API_URL": running.api_url,
        "DM_SWEEP_FUNCTION": running.functions["sweep_files"],
    }
    clients.forget()
    return running


def source_dsn(home: Path) -> str:
    """The connection string of the running platform's source database."""
    return connect(home).dsn


def contracts_folder(home: Path) -> Path:
    """The contracts of the platform that runs, or last ran, in ``home``. If there was none, those of the demo."""
    from datamaster.project import demo_contracts

    try:
        return state.last(home).contracts
    except PlatformNotRunning:
        return demo_contracts()
