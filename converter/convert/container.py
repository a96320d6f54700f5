"""The converter as a container command: ``python -m convert.container --file-id … --execution …``.

Exit code 0: converted, waiting for a decision, abandoned to another execution, or failed with the reason on the control
record. 1: an error that is worth another attempt (the lease was given back). 2: wrong arguments. 143: stopped by SIGTERM
(the upload was aborted and the lease given back). Standard output carries logs and metrics, one JSON object per line.
The last line is the attempt's summary.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence

import orjson

from convert.conversion import Converter
from convert.conversion_errors import Interrupted
from convert.settings import settings
from lake.telemetry import logger

EXIT_AGAIN = 1
EXIT_TERMINATED = 128 + signal.SIGTERM


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert one file and return the exit code."""
    parser = argparse.ArgumentParser(prog="container", description="Convert one registered file.")
    parser.add_argument("--file-id", required=True, help="the file's id in the control table")
    parser.add_argument("--execution", required=True, help="the execution that the file is converted for")
    options = parser.parse_args(arguments)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    try:
        summary = Converter(settings()).run(options.file_id, options.execution, stopped.is_set)
    except Interrupted as interruption:
        logger.warning(str(interruption))
        return EXIT_TERMINATED
    except Exception:
        logger.exception("the attempt failed; the lease was given back", extra={"file_id": options.file_id})
        return EXIT_AGAIN
    sys.stdout.write(orjson.dumps(summary.asdict()).decode() + "\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
