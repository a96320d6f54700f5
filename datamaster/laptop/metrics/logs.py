"""New lines of logs since the last look: CloudWatch Logs of the functions, files of the containers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3

FUNCTION_GROUPS = "/aws/lambda/dm-"


class FunctionLogs:
    """Every function's log, each event once."""

    def __init__(self) -> None:
        self._logs: Any = boto3.client("logs")
        self._tokens: dict[tuple[str, str], str] = {}

    def new(self) -> Iterator[str]:
        """The events since the last call, in the order of each stream."""
        for group in self._logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=FUNCTION_GROUPS).search("logGroups[]"):
            pages = self._logs.get_paginator("describe_log_streams").paginate(logGroupName=group["logGroupName"])
            for stream in pages.search("logStreams[]"):
                yield from self._of(group["logGroupName"], stream["logStreamName"])

    def _of(self, group: str, stream: str) -> Iterator[str]:
        while True:
            token = self._tokens.get((group, stream))
            after = {"nextToken": token} if token else {}
            page = self._logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True, **after)
            self._tokens[group, stream] = page["nextForwardToken"]
            yield from (event["message"] for event in page["events"])
            if not page["events"]:
                return


class FileLogs:
    """The logs of processes in a folder, whole lines only, each once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, int] = {}

    def new(self) -> Iterator[str]:
        """The lines since the last call."""
        for path in sorted(self._folder.glob("*.log")):
            with path.open("rb") as source:
                source.seek(self._read.get(path, 0))
                whole = source.read().rpartition(b"\n")[0]
            if whole:
                self._read[path] = self._read.get(path, 0) + len(whole) + 1
                yield from whole.decode(errors="replace").splitlines()
