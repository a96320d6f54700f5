"""Replays a Dockerfile without Docker: every stage's instructions, in order, in an empty folder that stands for its root.

Absolute paths are moved under that folder. What a base image brings (an interpreter with pip, a Rust toolchain) is this machine's
own, the interpreter in a fresh environment without any package. An instruction that cannot be replayed is an error, not a silence.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import venv
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

ABSOLUTE = re.compile(r"(?<![^\s=:\"'])/(?=\w)")
BASE_SETTINGS = ("HOME", "LANG", "PIP_INDEX_URL", "PIP_CONFIG_FILE", "CARGO_HOME", "RUSTUP_HOME", "SSL_CERT_FILE", "TMPDIR")


@dataclass
class Stage:
    """What one FROM began: its root, and what ENV, WORKDIR, USER and ENTRYPOINT said so far."""

    root: Path
    tools: Path
    folder: str = "/"
    variables: dict[str, str] = field(default_factory=dict)
    user: str = ""
    entrypoint: list[str] = field(default_factory=list)

    def path(self, name: str) -> Path:
        """A path of the image, on this machine."""
        return self.root / PurePosixPath("/", self.folder, name).relative_to("/")

    def moved(self, text: str) -> str:
        """A command or value with the image's absolute paths under the root."""
        return ABSOLUTE.sub(f"{self.root}/", text)

    @property
    def environment(self) -> dict[str, str]:
        """What a process of the image sees: nothing of this machine's but where tools and packages come from."""
        kept = {name: value for name, value in os.environ.items() if name in BASE_SETTINGS or name.startswith("AWS_")}
        cargo = Path(shutil.which("cargo") or "/usr/bin/cargo").parent
        return kept | {name: self.moved(value) for name, value in self.variables.items()} | {"PATH": f"{self.tools}:{cargo}:/usr/bin:/bin"}

    def run(self, command: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command as the image would, in its working directory."""
        environment = self.environment | variables
        return subprocess.run(command, cwd=self.path(""), env=environment, capture_output=True, text=True)


class NotReplayed(Exception):
    """An instruction that this replay does not know, or that failed."""


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile, continued lines joined, comments left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()
    return [(word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in joined)]


def replay(text: str, context: Path, work: Path) -> Stage:
    """Replay a Dockerfile; returns its last stage. Raises ``NotReplayed`` with the instruction."""
    venv.create(work / "interpreter", with_pip=True, symlinks=True)
    stages: dict[str, Stage] = {}
    last: Stage | None = None
    for word, rest in instructions(text):
        if word == "ARG":
            continue
        if word == "FROM":
            name = rest.split(" AS ")[1] if " AS " in rest else "last"
            root = work / name
            root.mkdir()
            last = stages[name] = Stage(root, work / "interpreter" / "bin")
            continue
        if last is None:
            raise NotReplayed(f"{word} {rest}: before any FROM")
        _step(word, rest, last, stages, context)
    if last is None:
        raise NotReplayed("no FROM at all")
    return last


def _step(word: str, rest: str, stage: Stage, stages: dict[str, Stage], context: Path) -> None:
    if word == "WORKDIR":
        stage.folder = rest
        stage.path("").mkdir(parents=True, exist_ok=True)
    elif word == "ENV":
        stage.variables |= dict(pair.split("=", 1) for pair in shlex.split(rest))
    elif word == "USER":
        stage.user = rest
    elif word == "ENTRYPOINT":
        stage.entrypoint = json.loads(rest)
    elif word == "COPY":
        _copy(rest, stage, stages, context)
    elif word == "RUN":
        done = stage.run(["/bin/sh", "-ec", stage.moved(rest)])
        if done.returncode != 0:
            raise NotReplayed(f"RUN {rest}: code {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    else:
        raise NotReplayed(f"{word} {rest}: unknown here")


def _copy(rest: str, stage: Stage, stages: dict[str, Stage], context: Path) -> None:
    """COPY: a folder's content, or files, to a folder that ends with a slash, or one file to a name."""
    words = rest.split()
    source_root = context
    if words[0].startswith("--from="):
        source_root = stages[words.pop(0).removeprefix("--from=")].root
    *names, target = words
    place = stage.path(target)
    for name in names:
        source = source_root / name.lstrip("/")
        if source.is_dir():
            shutil.copytree(source, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "target"))
        elif source.is_file():
            into = place / source.name if target.endswith("/") else place
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, into)
        else:
            raise NotReplayed(f"COPY {rest}: {name} is not there")
