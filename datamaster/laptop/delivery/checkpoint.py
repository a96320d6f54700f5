"""How far each shard of a stream has been delivered, kept in a file that is replaced as a whole."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson

CHECKPOINT = "checkpoint.json"
SHARD_END = "SHARD_END"


@dataclass(frozen=True)
class Checkpoint:
    """Sequence numbers up to which everything is in S3, by shard. ``SHARD_END`` marks a finished closed shard.

    ``stream_created_at`` distinguishes a stream from an earlier one of the same name, whose positions are invalid here. ``counts`` are the
    worker's totals: records received, ok, failed, dropped, and objects written.
    """

    stream_created_at: str
    shards: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the checkpoint so that a crash leaves the old one or the new one."""
        fresh = path.with_suffix(".new")
        with fresh.open("wb") as sink:
            sink.write(orjson.dumps(self))
            sink.flush()
            os.fsync(sink.fileno())
        fresh.replace(path)


def load_checkpoint(path: Path, stream_created_at: str) -> Checkpoint:
    """The checkpoint of this stream. Empty if there is none, or if it belongs to an earlier stream."""
    try:
        stored = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return Checkpoint(stream_created_at)
    if stored["stream_created_at"] != stream_created_at:
        return Checkpoint(stream_created_at)
    return Checkpoint(stream_created_at, stored["shards"], stored["counts"])
