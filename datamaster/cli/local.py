"""Commands on the platform: ``dm up``, ``dm down``, ``dm status``, ``dm doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datamaster.cli import taking
from datamaster.cli.output import err, fail, out, print_json, print_table, step
from datamaster.cli.session import Env, Home, platform
from datamaster.laptop import state
from datamaster.laptop.state import PlatformRunning

if TYPE_CHECKING:
    from datamaster.source.survey import Choice

Json = Annotated[bool, typer.Option("--json", help="JSON for scripts.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``dm``."""
    app.command()(up)
    app.command()(down)
    app.command()(status)
    app.command()(doctor)


def up(
    source: Annotated[str | None, typer.Option(help="Your own database, as postgresql://…. Default: an embedded one.")] = None,
    table: taking.Tables = None,
    schema: taking.Schemas = None,
    include: taking.Include = None,
    exclude: taking.Exclude = None,
    yes: taking.Yes = False,
    home: Home = Path(".dm"),
) -> int:
    """Start the platform and deploy to it. Returns once rows flow. The platform runs until dm down.

    From your own database it takes every table that it can, unless options choose. It writes contracts to HOME/contracts.
    Tables that have a contract there are taken again. Exits 1 if a table that you named was left out.
    """
    if source is not None:
        return _up_with(source, taking.choice(table, schema, include, exclude), yes, home)
    if table or schema or include or exclude:
        raise typer.BadParameter("they choose tables of your own database; give its address with --source")
    _start(home)
    return 0


def _up_with(source: str, asked: Choice, yes: bool, home: Path) -> int:
    from datamaster.source.preparation import plan

    if state.owner_of(home) is not None:
        raise PlatformRunning(home, state.owner_of(home))
    folder = home / "contracts"
    planned = plan(source, asked, folder)
    taking.show(planned, asked)
    if not planned.possible:
        refused = sorted(str(name) for name in planned.known & planned.refused.keys())
        cannot = (
            f"{', '.join(refused)} cannot be taken; cure that, or remove the contract in {folder}"
            if refused
            else "nothing can be taken yet"
        )
        fail(f"{cannot}; the lines above say why, and what to do")
        return 1
    if not taking.agreed(planned, asked, yes):
        return 1
    planned.write(folder)
    try:
        _start(home, source=source, contracts=folder)
    except BaseException:
        planned.undo(folder)
        raise
    return 1 if any(name in planned.refused for name in asked.tables) else 0


def _start(home: Path, **how: Any) -> None:
    from datamaster.laptop import lifecycle

    with step("Start the platform") as current:
        running = lifecycle.up(home, progress=current.say, **how)
        current.done(f"{len(running.pids)} processes")
    err.print("dm status shows it, dm down stops it.")


def down(
    forget: Annotated[bool, typer.Option(help="Also drop slot, publication and task tables in your own database.")] = False,
    home: Home = Path(".dm"),
) -> None:
    """Stop the platform. Its lake is not kept."""
    from datamaster.laptop import lifecycle

    with step("Stop the platform") as current:
        current.done(", ".join(lifecycle.down(home, forget=forget)))


def status(json: Json = False, home: Home = Path(".dm"), env: Env = None) -> int:
    """Show the replication, the processes, the files, and every problem that needs you. Exits 1 if there is a problem."""
    picture = platform(home, env).picture()
    if json:
        print_json(picture.as_dict())
        return 1 if picture.troubles else 0
    rows = [(name, entry["pid"] or "down", entry["restarts"]) for name, entry in picture.processes.items()]
    if rows:
        print_table(("process", "pid", "restarts"), rows, numeric=("pid", "restarts"))
    print_table(("files", "count"), list(picture.files.items()), numeric=("count",))
    if picture.replication is not None:
        out.print(f"Replication: {picture.replication['state']}")
    out.print(picture.place)
    if picture.troubles:
        lines = [(t.kind, t.subject, f"{t.count:,}", (t.since or "")[:19].replace("T", " "), t.reason, t.look) for t in picture.troubles]
        print_table(("trouble", "where", "count", "since", "reason", "look closer, or cure"), lines, "What needs you", numeric=("count",))
    else:
        out.print("Nothing needs you.")
    return 1 if picture.troubles else 0


def doctor(json: Json = False) -> int:
    """Check that this machine has everything the platform needs. Exits 1 if it cannot run."""
    from datamaster.laptop.doctor import examine

    findings = examine()
    if json:
        print_json([vars(finding) for finding in findings])
    else:
        marks = {True: "✓", None: "–", False: "✗"}
        rows = [(marks[f.good], f.subject, f.found, "" if f.good else f.advice) for f in findings]
        print_table(("", "what", "found", "advice"), rows)
    return 1 if any(finding.good is False for finding in findings) else 0
