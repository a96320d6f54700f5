"""The bound of two cores: CPU seconds of each stage alone, on one thread: ``python stages.py CONTRACT SOURCE FORMAT``.

The bound is the greater of half their sum (two cores share all work) and the longest stage that one thread must do
alone: reading (gunzip and cutting), or writing. Prints JSON with seconds.
"""

from __future__ import annotations

import io
import json
import sys
import time
from pathlib import Path
from typing import Any

from convert import engine, parquet, parse
from lake.contract import parse_contract


class _Nowhere(io.RawIOBase):
    written = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.written

    def write(self, data: Any) -> int:
        self.written += len(data)
        return len(data)


def measure(contract_path: str, source: str, file_format: str) -> dict[str, float]:
    """CPU seconds by stage, and ``bound`` in seconds of wall time."""
    contract = parse_contract(Path(contract_path).read_text(), contract_path)
    schema = parse.RowSchema.of(contract)
    seconds = {"read": 0.0, "parse": 0.0, "write": 0.0}
    with Path(source).open("rb", buffering=0) as file:
        clock = time.process_time()
        reader = parse.BlockReader(parse.GzipStream(file), file_format)
        parser = parse.parser(schema, file_format, reader.header)
        writer = parquet.PartWriter(schema.arrow_schema, {}, engine._spread(contract, file_format), lambda _: _Nowhere())
        for block in reader:
            seconds["read"] += time.process_time() - clock
            clock = time.process_time()
            batch = parser.parse(block.data).batch
            seconds["parse"] += time.process_time() - clock
            clock = time.process_time()
            writer.write(batch)
            writer.flush()
            reader.give_back(block)
            seconds["write"] += time.process_time() - clock
            clock = time.process_time()
        writer.close()
        seconds["write"] += time.process_time() - clock
    return seconds | {"bound": max(sum(seconds.values()) / 2, seconds["read"], seconds["write"])}


if __name__ == "__main__":
    print(json.dumps({name: round(value, 3) for name, value in measure(*sys.argv[1:]).items()}))
