"""Serve the local Comprehend: ``python -m datamaster.laptop.comprehend --port N`` (0 takes a free port, printed on the first line)."""

from __future__ import annotations

import argparse

from datamaster.laptop.comprehend.operations import OPERATIONS
from datamaster.wire.aws_json import AwsJsonServer


def main() -> None:
    """Run until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m datamaster.laptop.comprehend", description="Comprehend's detection of personal data, by patterns."
    )
    parser.add_argument("--port", type=int, default=0, help="TCP port on 127.0.0.1; 0 takes a free one")
    AwsJsonServer(OPERATIONS, parser.parse_args().port).run_until_terminated()


if __name__ == "__main__":
    main()
