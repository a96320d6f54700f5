"""``dm demo``: every step from PostgreSQL to gold, then a comparison of the lake with its source."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from rich.markup import escape

from beer import CONTRACTS, churn, generate
from datamaster.cli.output import err, out, print_table, step
from datamaster.cli.session import connect
from datamaster.laptop import lifecycle
from datamaster.laptop.memory import MemoryWatch
from datamaster.laptop.state import PlatformRunning, State
from datamaster.platform import actions, pipelines
from datamaster.platform.counts import counted
from datamaster.platform.query import Athena
from datamaster.verify import verify_lake
from lake.contract import ContractSet
from lake.control import ControlTable
from lake.errors import LakeError

GOLD_SHOWN = 3
NUMBERS = ("rank", "review_count", "avg_overall", "popularity")
NEXT = (
    ('.venv/bin/dm query "SELECT * FROM top_drinkers LIMIT 5"', "ask the lake"),
    (".venv/bin/dm churn --changes 1000", "change rows in PostgreSQL, then: dm run silver, dm run gold, dm verify"),
    (".venv/bin/dm files ls --limit 10", "what became of every file"),
    (".venv/bin/dm down", "stop everything"),
)


class Demo:
    """One run of the demo. ``reviews`` and ``changes`` are counts of rows. ``data`` is a folder of real CSV.gz files."""

    def __init__(self, home: Path, *, reviews: int, changes: int, data: Path | None, keep: bool) -> None:
        self.home, self.reviews, self.changes, self.data, self.keep = home, reviews, changes, data, keep

    def run(self) -> int:
        """Run every step. Returns 0 if the lake equals its source and every gold table has rows, and 1 otherwise."""
        begin = time.monotonic()
        stop = True
        try:
            good = self._road()
            stop = not self.keep
        except PlatformRunning:
            stop = False  # it is not this run's
            raise
        finally:
            if stop:
                with step("Stop the platform"):
                    lifecycle.down(self.home)
        err.print(f"{time.monotonic() - begin:.0f} s in all")
        if not stop:
            out.print("\nThe platform keeps running. Try next:")
            for command, what in NEXT:
                out.print(f"  {escape(command)}  [dim]# {what}[/dim]")
        return 0 if good else 1

    def _road(self) -> bool:
        with step("Start PostgreSQL and the local AWS, deploy the stacks, fill the source") as current:
            lifecycle.up(self.home, seed=self._seed, progress=current.say)
            running = connect(self.home)
            current.done(f"{self.reviews:,} reviews in PostgreSQL, {len(running.pids)} processes")
        with MemoryWatch(running.pids.values()) as memory:
            good = self._rows(running)
        out.print(f"Peak memory of all processes together: {memory.peak_bytes / 2**30:.1f} GB")
        return good

    def _seed(self, dsn: str) -> None:
        if self.data is not None:
            generate.load_real(dsn, self.data, self.reviews)
        else:
            generate.load_generated(dsn, self.reviews)

    def _rows(self, running: State) -> bool:
        self._convert(running, "Full load: PostgreSQL → stream → S3 → bronze")
        self._pipeline(running, "silver", "Merge into silver, build review_flat")
        with step("Live changes in PostgreSQL: inserts, updates, deletes, key changes") as current:
            counts = churn.run(running.dsn, self.changes)
            current.done(f"{counts.changes:,} in {counts.transactions:,} transactions")
        with step("Batch export of review, in one snapshot, down the same road") as current:
            exported = actions.export_table(running, "review", whole=True, progress=current.say)
            current.done(f"{exported.rows:,} rows")
        self._convert(running, "Changes and export → bronze")
        self._pipeline(running, "silver", "Merge the changes into silver")
        self._pipeline(running, "gold", "Build the gold tables")
        self._where_files_went(running)
        full = self._gold(running)
        with step("Compare the lake with PostgreSQL, row by row and column by column") as current:
            report = verify_lake(running, current.say)
            current.done(report.summary)
        report.print(out)
        return report.equal and full

    def _convert(self, running: State, title: str) -> None:
        with step(title) as current:
            statuses = actions.convert_all(running, current.say)
            current.done(", ".join(f"{counted(count, 'file')} {status}" for status, count in sorted(statuses.items())))
        if statuses["failed"]:
            raise DemoFailed(f"{counted(statuses['failed'], 'file')} failed; look at them with dm files ls --status failed")

    def _pipeline(self, running: State, layer: str, title: str) -> None:
        with step(title) as current:
            result = pipelines.run(running, layer, current.say)
            current.done(result.summary)
        if result.failed:
            raise DemoFailed("; ".join(f"{table}: {reason}" for table, reason in result.failed))

    def _where_files_went(self, running: State) -> None:
        files: Counter[tuple[str, str, str]] = Counter()
        rows: Counter[tuple[str, str, str]] = Counter()
        for record in ControlTable(running.control_table).listing.files():
            group = (record.table_name, record.compute_target, record.status)
            files[group] += 1
            rows[group] += record.records_written or 0
        lines = [(*group, files[group], f"{rows[group]:,}") for group in sorted(files)]
        print_table(("table", "converted by", "status", "files", "rows"), lines, title="Where each file went", numeric=("files", "rows"))

    def _gold(self, running: State) -> bool:
        athena = Athena(running.work_group)
        full = True
        for table in sorted(derived.name for derived in ContractSet.from_directory(CONTRACTS).derived.values() if derived.layer == "gold"):
            count = int(athena.run(f"SELECT count(*) FROM {table}").rows[0][0] or 0)
            first = athena.run(f"SELECT * FROM {table} ORDER BY review_year DESC, review_month DESC, rank LIMIT {GOLD_SHOWN}")
            month = "-".join(str(part).zfill(2) for part in first.rows[0][:2]) if first.rows else "no month"
            print_table(
                first.columns[2:], [row[2:] for row in first.rows], f"{table}: {count:,} rows; the first of {month}", numeric=NUMBERS
            )
            full = full and count > 0
            if not count:
                err.print(f"[red]{table} is empty[/red]")
        return full


class DemoFailed(LakeError):
    """A step of the demo failed."""
