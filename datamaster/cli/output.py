"""What the commands write: lines with times, tables, JSON. Colour and spinners on a terminal only."""

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
    """A console as wide as the terminal; where there is none, wide enough that a script finds one row a line."""
    width = None if stream.isatty() else WIDTH_WITHOUT_TERMINAL
    return Console(stderr=stderr, highlight=False, soft_wrap=True, width=width)


out = _console(sys.stdout, stderr=False)
err = _console(sys.stderr, stderr=True)

LINE_SECONDS = 5.0
"""How often a step says how far it is where there is no terminal."""


class Step:
    """One step of a longer command. ``say`` changes what its line tells while it runs, ``done`` what it tells at the end."""

    def __init__(self, title: str, show: Callable[[str], None]) -> None:
        self._title, self._show, self.result = title, show, ""

    def say(self, text: str) -> None:
        """Tell how far the step has come."""
        self._show(f"{self._title}: {text}" if text else self._title)

    def done(self, result: str) -> None:
        """Tell what came of it, once it ends."""
        self.result = result


@contextmanager
def step(title: str) -> Iterator[Step]:
    """Show a step while it runs, on standard error, and its result and seconds when it has ended."""
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
    """Shows a step as a line every few seconds, so that a log says what is waited for."""
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
    """A readable table on standard output; columns in ``numeric`` are set flush right, those in ``whole`` are never folded."""
    table = Table(title=title, title_justify="left", header_style="bold", box=box.SIMPLE_HEAD)
    right, unfolded = set(numeric), set(whole)
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold", no_wrap=name in unfolded)
    for row in rows:
        table.add_row(*("" if value is None else escape(str(value)) for value in row))
    out.print(table)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS, default=str)
    sys.stdout.write(text.decode())


def fail(message: str) -> None:
    """One error on standard error."""
    err.print(f"[red]dm:[/red] {escape(message)}")
