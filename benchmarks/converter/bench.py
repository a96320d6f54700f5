"""The converter against its peers, local file to local file: ``make bench-converter``.

Engines alternate within a case; medians of wall time, user and system CPU, and peak resident memory are of whole
processes, start included. Results are compared row for row before anything is timed. Cases that build/bench/converter.json
holds are skipped: an interrupted run goes on; ``--again`` starts anew.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from cases import CASES, FALLBACK, OURS, Case
from data import make
from peers import columns

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "bench"
RESULTS = BUILD / "converter.json"
PEER_PYTHON = ROOT / ".venv-bench" / "bin" / "python"


@dataclass(frozen=True)
class Measure:
    """One engine in one case: medians of seconds and MB (10^6 bytes; memory in MiB)."""

    case: str
    engine: str
    wall_s: float
    cpu_s: float
    rss_mb: float
    rows: int
    out_mb: float
    in_mb: float


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true", help="forget earlier results")
    parser.add_argument("--only", help="cases whose name begins with this")
    options = parser.parse_args()
    measures = [] if options.again or not RESULTS.exists() else [Measure(**entry) for entry in json.loads(RESULTS.read_text())]
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {_versions()}")
    for case in CASES:
        if any(measure.case == case.name for measure in measures) or not case.name.startswith(options.only or ""):
            continue
        measures += run(case)
        RESULTS.write_text(json.dumps([asdict(measure) for measure in measures], indent=1))
    report(measures)


def run(case: Case) -> list[Measure]:
    """Make the input, check that all agree, then time in turns."""
    source = make(case, BUILD / "data")
    print(f"\n{case.name}: {source.stat().st_size / 1e6:,.0f} MB gz", flush=True)
    if case.name == "review-json-3m":
        contract = HERE / "contracts" / "review.yaml"
        stages = subprocess.run([sys.executable, HERE / "stages.py", contract, source, "json"], check=True, capture_output=True, text=True)
        (BUILD / "stages.json").write_text(stages.stdout)
    expected = None
    runs: dict[str, list[tuple[float, float, float]]] = {engine: [] for engine in case.engines}
    sizes: dict[str, tuple[int, float]] = {}
    for turn in range(case.repeats):
        for engine in case.engines:
            target = BUILD / "out" / engine
            runs[engine].append(_timed(_command(case, engine, source, target), target))
            if turn == 0:
                rows, digest, size = _digest(case, target)
                expected = expected or (rows, digest)
                if not case.bad and case.table != "masked" and (rows, digest) != expected:
                    raise SystemExit(f"{case.name}: {engine} wrote other rows than {case.engines[0]}: {(rows, digest)} and {expected}")
                sizes[engine] = (rows, size)
            print(
                f"  {engine:20} {runs[engine][-1][0]:7.2f} s wall {runs[engine][-1][1]:7.2f} s cpu {runs[engine][-1][2]:6.0f} MB",
                flush=True,
            )
    found = []
    for engine, timed in runs.items():
        wall, cpu, rss = (round(statistics.median(values), 3) for values in zip(*timed, strict=True))
        found.append(Measure(case.name, engine, wall, cpu, rss, sizes[engine][0], round(sizes[engine][1], 2), source.stat().st_size / 1e6))
    return found


def _command(case: Case, engine: str, source: Path, target: Path) -> list[str | Path]:
    if engine in (OURS, FALLBACK):
        return [sys.executable, HERE / "ours.py", engine, HERE / "contracts" / f"{case.table}.yaml", source, target]
    tolerate = "yes" if case.bad else "no"
    return [PEER_PYTHON, HERE / "peers.py", engine, case.file_format, source, target / "rows.parquet", case.table, tolerate]


def _timed(command: list[str | Path], target: Path) -> tuple[float, float, float]:
    """Wall and CPU seconds and peak memory in MiB of one process."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    began = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode and not list(target.glob("*.parquet")):
        raise SystemExit(f"{' '.join(map(str, command))} ended with code {process.returncode}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def _digest(case: Case, target: Path) -> tuple[int, int, float]:
    """Rows, a sum of row hashes over the columns that all engines write, and MB of Parquet."""
    files = [path for path in target.glob("*.parquet") if path.name != "quarantine.parquet"]
    names = ", ".join(f'"{name}"' for name, _ in columns(case.table, case.file_format))
    statement = f"SELECT count(*), coalesce(sum(hash({names})::HUGEINT), 0) FROM read_parquet({[str(path) for path in files]})"
    code = f"import duckdb; c = duckdb.connect(); c.execute(\"SET TimeZone='UTC'\"); print(*c.execute({statement!r}).fetchone())"
    ran = subprocess.run([PEER_PYTHON, "-c", code], check=True, capture_output=True, text=True)
    rows, digest = map(int, ran.stdout.split())
    return rows, digest, sum(path.stat().st_size for path in files) / 1e6


def report(measures: list[Measure]) -> None:
    """The table, and what the numbers mean."""
    print(f"\n{'case':26} {'engine':20} {'wall s':>8} {'cpu s':>8} {'rss MB':>7} {'out MB':>7} {'wall ×':>7} {'cpu ×':>7}")
    for case in CASES:
        own = [measure for measure in measures if measure.case == case.name]
        peers = [measure for measure in own if measure.engine not in (OURS, FALLBACK)]
        for measure in own:
            ratios = ""
            if peers and measure.engine in (OURS, FALLBACK):
                ratios = f"{measure.wall_s / min(p.wall_s for p in peers):7.2f} {measure.cpu_s / min(p.cpu_s for p in peers):7.2f}"
            print(
                f"{case.name:26} {measure.engine:20} {measure.wall_s:8.2f} {measure.cpu_s:8.2f} {measure.rss_mb:7.0f} "
                f"{measure.out_mb:7.1f} {ratios}"
            )
    ours = {measure.case: measure for measure in measures if measure.engine == OURS}
    for case in CASES:
        if case.clean and case.name in ours and case.clean in ours:
            print(f"{case.name}: {ours[case.name].wall_s / ours[case.clean].wall_s:.2f} × the wall time of {case.clean}")
    if "review-json-3m" in ours and (BUILD / "stages.json").exists():
        stages = json.loads((BUILD / "stages.json").read_text())
        reached = stages["bound"] / ours["review-json-3m"].wall_s
        print(f"stages of review-json-3m alone, CPU s: {stages}; {reached:.0%} of the two-core bound reached")


def _versions() -> str:
    listed = subprocess.run([PEER_PYTHON, "-m", "pip", "freeze"], check=True, capture_output=True, text=True).stdout.split()
    return ", ".join([f"pyarrow {version('pyarrow')}", *(line for line in listed if line.split("==")[0] in ("duckdb", "polars", "chdb"))])


if __name__ == "__main__":
    main()
