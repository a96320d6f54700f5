"""The list of tables that the replicator reads when it starts, so that it can change while the platform runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from datamaster.laptop.state import write

LIST = "carried-tables"


def save(home: Path, tables: Iterable[str]) -> Path:
    """Write the list (schema.table each) as a line of CSV. Returns its path."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(tables)
    home.mkdir(parents=True, exist_ok=True)
    write(home / LIST, line.getvalue())
    return home / LIST
