"""Runs COPY statements by several connections at once, each into objects of its own."""

from __future__ import annotations

import io
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, suppress
from typing import Any

import psycopg2

from export.objects import BUFFER_BYTES, ObjectWriter

SAY_SECONDS = 1.0


class Pace:
    """Counts an export's rows, and says rate and time left once a second."""

    def __init__(self, say: Callable[[str], None], ranges: int) -> None:
        self.rows = 0
        self._say = say
        self._ranges, self._done = ranges, 0
        self._began = time.monotonic()
        self._said = self._began
        self._lock = threading.Lock()

    def count(self, rows: int) -> None:
        """Count rows that were read."""
        with self._lock:
            self.rows += rows
            now = time.monotonic()
            if now - self._said >= SAY_SECONDS:
                self._said = now
                self._say(self._text(now - self._began))

    def range_done(self) -> None:
        """Count a range that was read to its end."""
        with self._lock:
            self._done += 1

    def _text(self, seconds: float) -> str:
        text = f"{self.rows:,} rows, {self.rows / seconds:,.0f} a second"
        if not self._done:
            return text
        return f"{text}, about {seconds * (self._ranges - self._done) / self._done:,.0f} s left"


def copy_all(connections: Sequence[Any], statements: Sequence[str], new_writer: Callable[[], ObjectWriter], pace: Pace) -> None:
    """Run every statement once. Each connection takes the next one that waits. The first failure cancels the others."""
    waiting = deque(statements)
    with ThreadPoolExecutor(len(connections), thread_name_prefix="export") as pool:
        reads = [pool.submit(_copy_waiting, connection, waiting, new_writer(), pace) for connection in connections]
        try:
            for read in as_completed(reads):
                read.result()
        except BaseException:
            waiting.clear()
            for connection in connections:
                with suppress(psycopg2.Error):  # one that is closed already is the failure itself
                    connection.cancel()
            raise


def _copy_waiting(connection: Any, waiting: deque[str], writer: ObjectWriter, pace: Pace) -> None:
    # the writer closes first: then the buffer before it drops what a failed statement left
    with closing(writer), connection.cursor() as cursor:
        buffer = io.BufferedWriter(writer, BUFFER_BYTES)
        while waiting:
            try:
                statement = waiting.popleft()
            except IndexError:  # another connection took the last
                break
            cursor.copy_expert(statement, buffer)
            pace.range_done()
        buffer.flush()
        if writer.rows:
            writer.finish()
