"""Runs the delivery worker until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from pathlib import Path

from datamaster.laptop.delivery.stream import from_template
from datamaster.laptop.delivery.worker import DeliveryWorker
from lake.errors import LakeError


def main() -> int:
    """Run the worker. Returns 0 when it is stopped, or 2 if the template cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m datamaster.laptop.delivery", description=__doc__)
    parser.add_argument("--template", type=Path, required=True, help="the template with the delivery stream")
    parser.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE", help="a template parameter, attribute or import")
    parser.add_argument(
        "--state", type=Path, required=True, help="folder of checkpoint.json; a file named flush in it makes the worker write now"
    )
    parser.add_argument("--interval-seconds", type=float, help="cap for the buffer interval, below what the template says")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    parameters = dict(entry.split("=", 1) for entry in arguments.parameter)
    try:
        stream = from_template(arguments.template, parameters)
    except (LakeError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    worker = DeliveryWorker(stream, arguments.state, arguments.interval_seconds)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop())
    worker.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
