"""The cost of keeping the lake equal to its source: ``make bench-lake``.

Tables are written directly as Iceberg, changes as bronze Parquet. The jobs then run as on the platform, on Sail and the
emulator's S3. Cases in build/bench/lake.json are skipped, so an interrupted run continues. ``--again`` starts anew.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "build" / "bench" / "lake.json"
NAMES = (
    "merge-36",
    "layout",
    "layout-spark",
    "no-months",
    "small-files",
    "large-batch",
    "large-batch-spark",
    "merge-36-large",
    "merge-720",
    "gold-720",
    "history",
)

SPARK = {"layout-spark", "large-batch-spark"}


def main() -> None:
    """Run the missing cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--again", action="store_true", help="forget earlier results")
    parser.add_argument("--only", help="these cases", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--repeats", type=int, default=3, help="runs of which the median is taken")
    options = parser.parse_args()
    if options.again:
        RESULTS.unlink(missing_ok=True)
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    versions = ", ".join(f"{name} {version(name)}" for name in ("pysail", "pyiceberg", "pyarrow", "duckdb"))
    print(f"{machine}, {versions}; load {os.getloadavg()[0]:.1f}", flush=True)
    missing = [name for name in NAMES if name not in found and name in options.only]
    if SPARK.intersection(missing) and not os.environ.get("DM_CONFORMANCE_PYTHON"):
        print(f"{' and '.join(sorted(SPARK))}: left out, because there is no Apache Spark yet; make conformance sets it up", flush=True)
        missing = [name for name in missing if name not in SPARK]
    if missing:
        _measure(missing, options.repeats, found)
    report(found)


def _measure(missing: list[str], repeats: int, found: dict[str, Any]) -> None:
    from datamaster.laptop.emulator import start_emulator
    from datamaster.laptop.spark import job_environment, start_spark

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with start_emulator(home / "emulator") as emulator, start_spark(emulator.environment, home / "sail.log") as spark:
            os.environ.update(job_environment(emulator.environment, spark.remote))
            from benchmarks.lake.cases import Bench

            bench = Bench.start(repeats)
            try:
                for name in missing:
                    print(f"\n{name}", flush=True)
                    found[name] = getattr(bench, name.replace("-", "_"))() | {"load": round(os.getloadavg()[0], 1)}
                    RESULTS.parent.mkdir(parents=True, exist_ok=True)
                    others = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
                    RESULTS.write_text(json.dumps(others | {name: found[name]}, indent=1))
            finally:
                bench.stop()  # a client without its server would keep the process waiting


def report(found: dict[str, Any]) -> None:
    """Print every case's figures, and the ratios that have goals."""
    for name in NAMES:
        if name in found:
            print(f"\n{name}")
            for what, value in found[name].items():
                print(f"  {what:28} {value}")
    if {"merge-36", "merge-720"} <= set(found):
        own = {name: found[name]["seconds"] - found[name]["prepass"] for name in ("merge-36", "merge-720")}
        print(f"\n720 months against 36, without the pre-pass: {own['merge-720'] / own['merge-36']:.2f} × (goal 1.5)")
        print(f"pre-pass at 20M rows: {found['merge-720']['prepass']:.2f} s (goal 1.5)")
    if "small-files" in found:
        print(f"500 small files against 5 large: {found['small-files']['ratio']:.2f} × (goal 2)")
    if "large-batch" in found:
        print(f"1M changes into 5M rows against DuckDB: {found['large-batch']['ratio']:.2f} × (goal 3)")
    if "gold-720" in found:
        print(f"refresh of 2 of 720 months against a full rebuild: {found['gold-720']['ratio']:.3f} × (goal 0.1)")


def median(values: list[float]) -> float:
    """The median, in milliseconds' precision."""
    return round(statistics.median(values), 3)


if __name__ == "__main__":
    main()
