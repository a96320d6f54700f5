"""A running platform's variables as shell lines: ``eval "$(.venv/bin/python -m datamaster.laptop.exports)"``.

With them any AWS tool talks to the platform, and an app of the checkout runs against its resources.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from datamaster.laptop.state import State, load


def exports(running: State) -> str:
    """One ``export`` line for each variable of the platform, sorted by name."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(running.environment.items()))


def main() -> None:
    """Print the lines of the platform in ``--home``."""
    parser = argparse.ArgumentParser(
        prog="python -m datamaster.laptop.exports", description="The running platform's variables as shell lines."
    )
    parser.add_argument("--home", type=Path, default=Path(".dm"), help="folder of the platform's state")
    print(exports(load(parser.parse_args().home)), end="")


if __name__ == "__main__":
    main()
