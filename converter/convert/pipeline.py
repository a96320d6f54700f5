"""Processes blocks in several threads, with results in order and bounded memory.

One thread reads (gunzip releases the GIL), one thread per core works, and the caller takes the results in the order of the
source. At most ``workers * AHEAD`` blocks are between reader and caller.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Block = TypeVar("Block")
Result = TypeVar("Result")

AHEAD = 3
_POLL_SECONDS = 0.2


def in_order(blocks: Iterable[Block], work: Sequence[Callable[[Block], Result]]) -> Generator[Result, None, None]:
    """The results of ``work`` on every block, in the blocks' order. Each function of ``work`` has its own thread.

    The first failure of the reader or a worker is raised in place of its result. Closing the iterator ends all threads.
    """
    return _Run(blocks, work).results()


class _Run(Generic[Block, Result]):
    def __init__(self, blocks: Iterable[Block], work: Sequence[Callable[[Block], Result]]) -> None:
        self._blocks = blocks
        self._stop = threading.Event()
        self._tasks: queue.Queue[tuple[Block, Future[Result]] | None] = queue.Queue()
        self._order: queue.Queue[Future[Result] | None] = queue.Queue(len(work) * AHEAD)
        self._threads = [threading.Thread(target=self._read, name="read", daemon=True)]
        self._threads += [threading.Thread(target=self._work, args=(one,), name="parse", daemon=True) for one in work]

    def results(self) -> Generator[Result, None, None]:
        for thread in self._threads:
            thread.start()
        try:
            while (future := self._order.get()) is not None:
                yield future.result()
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()

    def _promise(self, future: Future[Result] | None) -> bool:
        """Queue the caller's next result. Returns False if the caller has gone."""
        while not self._stop.is_set():
            try:
                self._order.put(future, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def _read(self) -> None:
        try:
            for block in self._blocks:
                future: Future[Result] = Future()
                if not self._promise(future):
                    break
                self._tasks.put((block, future))
        except BaseException as error:  # the caller raises it
            failed: Future[Result] = Future()
            failed.set_exception(error)
            self._promise(failed)
        self._promise(None)
        for _ in self._threads[1:]:
            self._tasks.put(None)

    def _work(self, work: Callable[[Block], Result]) -> None:
        while (task := self._tasks.get()) is not None:
            block, future = task
            if self._stop.is_set():
                continue
            try:
                future.set_result(work(block))
            except BaseException as error:  # the caller raises it
                future.set_exception(error)
