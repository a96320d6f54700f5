"""The emulator's process: ministack, with a Kinesis whose calls do not grow dearer with every record that it holds.

Each of its calls looks at all records of a stream for those past retention: at a million records 80 ms, also for a reader that finds
nothing new. A shard's records lie in order of arrival, so the first that is young enough ends the search.
"""

from __future__ import annotations

import time
from typing import Any

from ministack.app import main
from ministack.services import kinesis


def expire_records(stream: dict[str, Any]) -> None:
    """Take away the records of a stream that are older than it keeps them."""
    oldest = time.time() - stream["RetentionPeriodHours"] * 3600
    for shard in stream["shards"].values():
        records = shard["records"]
        expired = next((place for place, record in enumerate(records) if record["ApproximateArrivalTimestamp"] >= oldest), len(records))
        del records[:expired]


if __name__ == "__main__":
    if not callable(getattr(kinesis, "_expire_records", None)):
        raise SystemExit("this release of ministack expires records elsewhere; pyproject.toml pins the one that fits")
    kinesis._expire_records = expire_records
    main()
