"""Output of the commands: step lines, tables and JSON. Spinners appear on a terminal only."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

import orjson
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

WIDTH_WITHOUT_TERMINAL = 160


def _console(stream: TextIO, stderr: bool) -> Console:
    """A console as wide as the terminal. Without a terminal it is wide enough for one row a line, so that scripts can read it."""
    width = None if stream.isatty() else WIDTH_WITHOUT_TERMINAL
    return Console(stderr=stderr, highlight=False, soft_wrap=True, width=width)


out = _console(sys.stdout, stderr=False)
err = _console(sys.stderr, stderr=True)

LINE_SECONDS = 5.0
"""Seconds between two lines about a step's progress, if there is no terminal."""


class Step:
    """One step of a longer command. ``say`` sets its text while it runs, ``done`` its text at the end."""

    def __init__(self, title: str, show: Callable[[str], None]) -> None:
        self._title, self._show, self.result = title, show, ""

    def say(self, text: str) -> None:
        """Show the progress of the step."""
        self._show(f"{self._title}: {text}" if text else self._title)

    def done(self, result: str) -> None:
        """Set the result that is shown when the step ends."""
        self.result = result


@contextmanager
def step(title: str) -> Iterator[Step]:
    """Show a step on standard error while it runs, then its result and seconds."""
    begin = time.monotonic()
    if not err.is_terminal:
        current = Step(title, _lines(begin))
        yield current
    else:
        with err.status(escape(title)) as status:
            current = Step(title, lambda text: status.update(escape(text)))
            yield current
    seconds = time.monotonic() - begin
    detail = f": {current.result}" if current.result else ""
    err.print(f"[green]✓[/green] {escape(title + detail)} [dim]({seconds:.1f} s)[/dim]")


def _lines(begin: float) -> Callable[[str], None]:
    """Print a step's progress as a line every few seconds, for logs."""
    last = begin

    def show(text: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= LINE_SECONDS:
            last = now
            err.print(f"… {escape(text)} ({now - begin:.0f} s)")

    return show


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    title: str | None = None,
    numeric: Iterable[str] = (),
    whole: Iterable[str] = (),
) -> None:
    """Print a table on standard output. Columns in ``numeric`` are aligned right, those in ``whole`` are never folded."""
    table = Table(title=title, title_justify="left", header_style="bold", box=box.SIMPLE_HEAD)
    right, unfolded = set(numeric), set(whole)
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold", no_wrap=name in unfolded)
    for row in rows:
        table.add_row(*("" if value is None else escape(str(value)) for value in row))
    out.print(table)


def print_json(value: Any) -> None:
    """Print one JSON document on standard output."""
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS, default=str)
    sys.stdout.write(text.decode())


def fail(message: str) -> None:
    """Print one error on standard error."""
    err.print(f"[red]dm:[/red] {escape(message)}")
