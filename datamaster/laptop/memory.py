"""How much memory a platform's processes take together."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType

import psutil

SAMPLE_SECONDS = 1.0


class MemoryWatch:
    """Samples the memory of processes and all their descendants inside the block.

    Linux counts shared pages once (proportional set size). Other systems only report unshared pages.
    """

    def __init__(self, pids: Iterable[int]) -> None:
        self._roots = tuple(pids)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_bytes = 0

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(SAMPLE_SECONDS):
            self.peak_bytes = max(self.peak_bytes, memory_of(self._roots))


def memory_of(roots: Iterable[int]) -> int:
    """Bytes that these processes and their descendants hold now."""
    return sum(map(_bytes, {process for root in roots for process in family(root)}))


def family(pid: int) -> list[psutil.Process]:
    """The process and all its descendants, or none if it has ended."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _bytes(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        memory = process.memory_full_info()
        return int(getattr(memory, "pss", memory.uss))
    return 0
