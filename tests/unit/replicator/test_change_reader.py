"""The statistics count a transaction once: the last counted commit is known when its changes are."""

from __future__ import annotations

import struct
import threading
from types import SimpleNamespace
from typing import Any

from datamaster.replicator.change_reader import ChangeReader

COMMIT_LSN = 700


def begin(lsn: int) -> bytes:
    return b"B" + struct.pack(">QqI", lsn, 0, 42)


def delete(relation: int) -> bytes:
    return b"D" + struct.pack(">IcHcI", relation, b"K", 1, b"t", 1) + b"7"


def commit(lsn: int) -> bytes:
    return b"C" + struct.pack(">BQQq", 0, lsn, lsn + 8, 0)


def test_a_complete_transaction_is_counted_before_anything_saves_the_statistics() -> None:
    state: Any = SimpleNamespace(cursor=None, counted_lsn=0, previous=None)
    emitter: Any = SimpleNamespace(state=state, outbox=None, change=lambda *_: None)
    reader = ChangeReader(None, emitter, threading.Event(), (), lambda: None, lambda _: None, "utf-8")
    reader._tables[5] = SimpleNamespace()  # type: ignore[assignment]

    reader.read(begin(COMMIT_LSN), 600)
    reader.read(delete(5), 600)
    before = state.counted_lsn
    reader.read(commit(COMMIT_LSN), 700)

    assert (before, state.counted_lsn) == (0, COMMIT_LSN)  # a look at the tables may save the counts from here on
