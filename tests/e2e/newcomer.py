"""A newcomer, and what they type."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

DM = Path(sys.executable).with_name("dm")


class Newcomer:
    """Someone in an empty directory, with nothing in the environment but a home and a path."""

    def __init__(self, folder: Path, dm: Path = DM, user: str | None = None) -> None:
        self.folder = folder
        self.home = folder / ".dm"
        self.dm = dm
        (folder / "user").mkdir(parents=True)
        self.environment = {"HOME": str(folder / "user"), "PATH": os.environ["PATH"]}
        self.identity: dict[str, Any] = {} if user is None else {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}

    def types(self, *words: str, seconds: float = 240) -> subprocess.CompletedProcess[str]:
        settings = {"cwd": self.folder, "env": self.environment, "timeout": seconds} | self.identity
        return subprocess.run([self.dm, *words], capture_output=True, text=True, **settings)

    def begins(self, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / "screen.txt").open("wb") as screen:
            return subprocess.Popen(
                [self.dm, *words],
                cwd=self.folder,
                env=self.environment,
                stdout=screen,
                stderr=screen,
                # a process in a shell's background inherits that Ctrl-C is ignored
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def succeeds(self, *words: str) -> str:
        ran = self.types(*words)
        assert ran.returncode == 0, f"dm {' '.join(words)}: exit code {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout
