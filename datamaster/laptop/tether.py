"""Run a command that ends when its parent does, however the parent ends.

Used as a program: ``python tether.py PARENT_PID COMMAND ...``. On Linux the kernel is asked to kill the process when
its parent dies (prctl(2), PR_SET_PDEATHSIG) and the command takes this process's place. Elsewhere the program stays
and watches its parent.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from types import FrameType

PR_SET_PDEATHSIG = 1
WATCH_SECONDS = 0.5


def tie(parent: int) -> None:
    """Have the kernel kill this process when process ``parent``, which started it, ends. Linux only."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel was asked
        sys.exit(1)


def become(parent: int, command: list[str]) -> None:
    """Replace this process by ``command``, tied to the life of process ``parent``. Linux only."""
    tie(parent)
    os.execvp(command[0], command)  # noqa: S606


def watch(parent: int, command: list[str]) -> int:
    """Run ``command`` until it ends or process ``parent`` is gone. Returns its exit code."""
    child = subprocess.Popen(command)

    def forward(number: int, _frame: FrameType | None) -> None:
        child.send_signal(number)

    signal.signal(signal.SIGTERM, forward)
    signal.signal(signal.SIGINT, forward)
    while child.poll() is None:
        if os.getppid() != parent:
            child.kill()
        time.sleep(WATCH_SECONDS)
    return child.returncode


if __name__ == "__main__":
    if sys.platform == "linux":
        become(int(sys.argv[1]), sys.argv[2:])
    sys.exit(watch(int(sys.argv[1]), sys.argv[2:]))
