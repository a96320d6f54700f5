"""The converter against its peers, local file to local file: ``make bench-converter``.

Engines alternate within a case. Wall time, user and system CPU and peak resident memory are medians over whole processes,
including their start. An untimed first round checks that all write the same rows. Cases in build/bench/converter.json are
skipped, so an interrupted run continues. ``--again`` starts anew. The converter runs on the packages of its image, in an
environment of its own. Its fallback is not in the image and runs on the project's environment.
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
from importlib.util import find_spec
from pathlib import Path

from benchmarks.converter.cases import CASES, CLEAN, FALLBACK, OURS, Case
from benchmarks.converter.data import make
from benchmarks.converter.peers import columns

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "bench"
RESULTS = BUILD / "converter.json"
PEER_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
IMAGE_PYTHON = ROOT / ".venv-image" / "bin" / "python"
KERNEL = BUILD / "kernel"
STAGED = "review-json-3m"
"""The case whose stages are also measured one by one, in turns with the engines."""


_DIGESTS: dict[str, tuple[str, int, int]] = {}


@dataclass(frozen=True)
class Measure:
    """One engine in one case: medians of seconds and MB (10^6 bytes, and MiB for memory)."""

    case: str
    engine: str
    wall_s: float
    cpu_s: float
    rss_mb: float
    rows: int
    out_mb: float
    in_mb: float


def main() -> None:
    """Run the missing cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true", help="forget earlier results")
    parser.add_argument("--only", help="cases whose name begins with this")
    options = parser.parse_args()
    measures = [] if options.again or not RESULTS.exists() else [Measure(**entry) for entry in json.loads(RESULTS.read_text())]
    print(f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, {_versions()}")
    _install_kernel()
    for case in CASES:
        if any(measure.case == case.name for measure in measures) or not case.name.startswith(options.only or ""):
            continue
        measures += run(case)
        RESULTS.write_text(json.dumps([asdict(measure) for measure in measures], indent=1))
    report(measures)


def run(case: Case) -> list[Measure]:
    """Make the input, check that all engines agree, then time them in turns."""
    turns = {engine: (engine, case) for engine in case.engines}
    if case.clean:
        turns[CLEAN] = (OURS, next(other for other in CASES if other.name == case.clean))
    sources = {label: make(of, BUILD / "data") for label, (_, of) in turns.items()}
    print(f"\n{case.name}: {sources[OURS].stat().st_size / 1e6:,.0f} MB gz", flush=True)
    sizes = {label: _checked(of, engine, sources[label]) for label, (engine, of) in turns.items()}
    runs: dict[str, list[tuple[float, float, float]]] = {label: [] for label in turns}
    stages: list[dict[str, float]] = []
    for _ in range(case.repeats):
        for label, (engine, of) in turns.items():
            target = BUILD / "out" / engine
            wall, cpu, rss = _timed(_command(of, engine, sources[label], target), target)
            runs[label].append((wall, cpu, rss))
            print(f"  {label:20} {wall:7.2f} s wall {cpu:7.2f} s cpu {rss:6.0f} MB", flush=True)
        if case.name == STAGED:
            stages.append(_stages(sources[OURS]))
    if stages:
        (BUILD / "stages.json").write_text(
            json.dumps({name: round(statistics.median(one[name] for one in stages), 3) for name in stages[0]})
        )
    found = []
    for label, timed in runs.items():
        wall, cpu, rss = (round(statistics.median(values), 3) for values in zip(*timed, strict=True))
        rows, size = sizes[label]
        found.append(Measure(case.name, label, wall, cpu, rss, rows, round(size, 2), sources[label].stat().st_size / 1e6))
    shutil.rmtree(BUILD / "out", ignore_errors=True)
    return found


def _stages(source: Path) -> dict[str, float]:
    """CPU seconds of each stage alone, in a separate process."""
    command = [sys.executable, HERE / "stages.py", HERE / "contracts" / "review.yaml", source, "json"]
    measured: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return measured


def _checked(case: Case, engine: str, source: Path) -> tuple[int, float]:
    """Rows and MB that an engine writes. Number and sum of hashes of the rows must equal every other engine's."""
    target = BUILD / "out" / engine
    _timed(_command(case, engine, source, target), target)
    rows, digest, size = _digest(case, target)
    if engine in (OURS, FALLBACK) and rows != case.good:
        raise SystemExit(f"{case.name}: {engine} wrote {rows:,} rows; {case.good:,} can be read")
    # unreadable lines are not compared, because peers treat them differently, and neither are masked columns
    if not case.bad and case.table != "masked":
        expected = _DIGESTS.setdefault(case.name, (engine, rows, digest))
        if (rows, digest) != expected[1:]:
            raise SystemExit(f"{case.name}: {engine} wrote other rows than {expected[0]}: {(rows, digest)} and {expected[1:]}")
    return rows, size


def _command(case: Case, engine: str, source: Path, target: Path) -> list[str | Path]:
    if engine in (OURS, FALLBACK):
        python = IMAGE_PYTHON if engine == OURS else sys.executable
        return [python, HERE / "ours.py", engine, HERE / "contracts" / f"{case.table}.yaml", source, target]
    tolerate = "yes" if case.bad else "no"
    return [PEER_PYTHON, HERE / "peers.py", engine, case.file_format, source, target / "rows.parquet", case.table, tolerate]


def _timed(command: list[str | Path], target: Path) -> tuple[float, float, float]:
    """Wall and CPU seconds and peak memory in MiB of one process."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    began = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], env=_environment(), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode and not list(target.glob("*.parquet")):
        raise SystemExit(f"{' '.join(map(str, command))} ended with code {process.returncode}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def _environment() -> dict[str, str]:
    """This process's environment, with compiled modules kept as in an installation, and with project and kernel on the path."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "converter", KERNEL)))}


def _install_kernel() -> None:
    """Copy the kernel to a folder that the image's environment finds, without the rest of the project's environment."""
    spec = find_spec("dm_kernel")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the kernel is not built; make kernel builds it, and needs Rust")
    shutil.copytree(spec.submodule_search_locations[0], KERNEL / "dm_kernel", dirs_exist_ok=True)


def _processor() -> str:
    """The processor's name, from Linux."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


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
    """Print the table as in docs/converter.md, and the derived ratios."""
    print(f"\n| {'case':25} | {'engine':19} | wall s | CPU s | memory MiB | Parquet MB | wall × best peer | CPU × best peer |")
    print("|---|---|---|---|---|---|---|---|")
    for case in CASES:
        own = [measure for measure in measures if measure.case == case.name]
        peers = [measure for measure in own if measure.engine not in (OURS, FALLBACK, CLEAN)]
        for measure in own:
            wall = cpu = ""
            if peers and measure.engine in (OURS, FALLBACK):
                wall = f"{measure.wall_s / min(peer.wall_s for peer in peers):.2f}"
                cpu = f"{measure.cpu_s / min(peer.cpu_s for peer in peers):.2f}"
            print(
                f"| {case.name:25} | {measure.engine:19} | {measure.wall_s:6.2f} | {measure.cpu_s:5.2f} | {measure.rss_mb:10.0f} "
                f"| {measure.out_mb:10.1f} | {wall:16} | {cpu:15} |"
            )
    walls = {(measure.case, measure.engine): measure.wall_s for measure in measures}
    for case in CASES:
        if (case.name, CLEAN) in walls:
            print(f"{case.name}: {walls[case.name, OURS] / walls[case.name, CLEAN]:.2f} × the wall time of {case.clean}")
    if (STAGED, OURS) in walls and (BUILD / "stages.json").exists():
        stages = json.loads((BUILD / "stages.json").read_text())
        print(f"stages of {STAGED} alone, CPU s: {stages}; {stages['bound'] / walls[STAGED, OURS]:.0%} of the two-core bound reached")


def _versions() -> str:
    listed = subprocess.run([PEER_PYTHON, "-m", "pip", "freeze"], check=True, capture_output=True, text=True).stdout.split()
    return ", ".join([f"pyarrow {version('pyarrow')}", *(line for line in listed if line.split("==")[0] in ("duckdb", "polars", "chdb"))])


if __name__ == "__main__":
    main()
