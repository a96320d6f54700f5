"""Installs packages into a virtual environment, created if missing: ``install.py .venv --requirement requirements.lock``.

It needs only Python. uv installs: it downloads in parallel and compiles on every core, in a third of pip's time. It takes
the package indexes from pip's settings (pip.conf and the PIP_ variables), so pip's setup is enough. pip installs if uv
is not available, or if a setting of pip has no counterpart in uv.
https://docs.astral.sh/uv/pip/compatibility/ · https://pip.pypa.io/en/stable/topics/configuration/
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

UV = "uv==0.13.9"
SECONDS_WITHOUT_AN_ANSWER = "180"
FLAGS = {  # pip's settings and uv's options, repeated for each value of a setting with several
    "index-url": "--default-index",
    "extra-index-url": "--index",
    "find-links": "--find-links",
    "trusted-host": "--allow-insecure-host",
    "cert": "--cert",
    "no-index": "--no-index",
}
SEVERAL = ("extra-index-url", "find-links", "trusted-host")
SWITCHES = ("no-index",)
OF_NO_EFFECT = {  # on what is installed
    *("disable-pip-version-check", "default-timeout", "timeout", "retries", "cache-dir", "no-cache-dir", "progress-bar", "quiet"),
    *("verbose", "no-color", "no-input", "root-user-action", "no-warn-script-location", "log"),
}


class InstallFailed(Exception):
    """A command failed. The text is the end of its output."""


class NoCounterpart(Exception):
    """A setting of pip has no counterpart in uv. The text is the setting's name."""


def uv_options(listed: str) -> list[str]:
    """uv's options for the settings in the output of ``pip config list``. Raises ``NoCounterpart``."""
    settings: dict[str, str] = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if section == ":env:" or (section in ("global", "install") and key not in settings):  # a variable wins over a file
            settings[key] = str(ast.literal_eval(value))
    options = ["--index-strategy", "unsafe-best-match"]  # all indexes have equal rank, as for pip
    for key, value in settings.items():
        if key in SWITCHES:
            options += [FLAGS[key]] if value.lower() in ("1", "true", "yes", "on") else []
        elif key in FLAGS:
            options += [word for part in (value.split() if key in SEVERAL else [value]) for word in (FLAGS[key], part)]
        elif key not in OF_NO_EFFECT:
            raise NoCounterpart(key)
    return options


def run(*command: str | Path) -> str:
    """The output of a command. Raises ``InstallFailed``."""
    ran = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if ran.returncode != 0:
        raise InstallFailed((ran.stderr or ran.stdout).strip()[-3000:])
    return ran.stdout


def install(folder: Path, words: Sequence[str]) -> None:
    """Install packages into the environment in ``folder``. ``words`` are the arguments of ``pip install``. Raises ``InstallFailed``."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True, symlinks=True)
    try:
        options = uv_options(run(python, "-m", "pip", "config", "list"))
        if not python.with_name("uv").exists():
            run(python, "-m", "pip", "install", "--quiet", UV)
    except NoCounterpart as setting:
        print(f"pip installs, as uv has no word for its setting {setting}", flush=True)
    except InstallFailed as reason:
        print(f"pip installs, as uv cannot be had: {str(reason).splitlines()[-1]}", flush=True)
    else:
        os.environ.setdefault("UV_HTTP_TIMEOUT", SECONDS_WITHOUT_AN_ANSWER)
        run(python.with_name("uv"), "pip", "install", "--python", python, "--compile-bytecode", *options, *words)
        return
    run(python, "-m", "pip", "install", "--quiet", *words)


if __name__ == "__main__":
    try:
        install(Path(sys.argv[1]), sys.argv[2:])
    except InstallFailed as reason:
        sys.exit(str(reason))
