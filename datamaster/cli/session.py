"""The connection of a command to the platform."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from datamaster.laptop import state
from datamaster.laptop.state import PlatformNotRunning, State
from datamaster.platform import SOURCE_VARIABLE, Platform
from lake import clients

Home = Annotated[Path, typer.Option("--home", help="Where the platform keeps its state.", file_okay=False, envvar="DM_HOME")]
Env = Annotated[
    str | None,
    typer.Option(
        "--env",
        help=f"An environment that is deployed in AWS, instead of the platform in --home. {SOURCE_VARIABLE} is the address of its source.",
    ),
]


def connect(home: Path) -> State:
    """The running platform's state. Puts its endpoints and credentials into this process's environment.

    Raises ``PlatformNotRunning``.
    """
    running = state.load(home)
    _use(running)
    return running


def platform(home: Path, env: str | None) -> Platform:
    """The environment ``env`` in its AWS account, or the platform that runs in ``home``. Commands of this process then find it.

    Raises ``PlatformNotRunning``, and the errors of ``datamaster.aws.operation.find``.
    """
    if env is None:
        return connect(home)
    from datamaster.aws import operation

    running = operation.find(env)
    _use(running)
    return running


def _use(running: Platform) -> None:
    os.environ.update(running.variables)
    clients.forget()


def contracts_folder(home: Path, env: str | None = None) -> Path:
    """The contracts of an environment, or of the platform that runs, or last ran, in ``home``. If there was none, those of the demo."""
    from datamaster.project import demo_contracts

    if env is not None:
        from datamaster.aws.deploy.environments import load_environment

        return load_environment(env).contracts
    try:
        return state.last(home).contracts
    except PlatformNotRunning:
        return demo_contracts()
