"""``dm contract``: write, check, compare and publish contracts."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from datamaster.cli.output import err, fail, out, print_table, step
from datamaster.cli.session import Env, Home, contracts_folder, platform
from datamaster.platform.counts import counted
from lake.contract import InvalidContract

if TYPE_CHECKING:
    from datamaster.platform.contract_changes import ContractChange

app = typer.Typer(no_args_is_help=True, help="Write, check, compare and publish contracts: one YAML file a source table.")
Folder = Annotated[
    Path | None,
    typer.Option("--contracts", help="Folder of the contracts. Default: the folder of the platform in --home.", file_okay=False),
]


@app.command()
def check(folder: Folder = None, home: Home = Path(".dm")) -> None:
    """Check every contract against the Open Data Contract Standard and the lake's rules."""
    from datamaster.cli.contract_files import check_contracts

    contracts = check_contracts(folder or contracts_folder(home))
    rows = [
        (c.table, f"{c.source_schema}.{c.source_table}", len(c.columns), ", ".join(k.name for k in c.key), c.evolution)
        for c in contracts.tables.values()
    ]
    print_table(("table", "source", "columns", "key", "evolution"), rows, numeric=("columns",))
    out.print(f"{counted(len(rows), 'contract')} valid; version {contracts.version}.")


@app.command()
def publish(
    folder: Folder = None,
    home: Home = Path(".dm"),
    env: Env = None,
    reload: Annotated[
        list[str] | None,
        typer.Option(help="Load this table again afterwards, as a source name that passes to another column needs. Repeat for more."),
    ] = None,
) -> int:
    """Publish contracts to the running platform, and show the effect on existing rows.

    Exits 1 if the folder lacks a table that the platform carries.
    """
    from datamaster.cli.contract_files import check_contracts
    from datamaster.platform.actions import current_contracts, reload_table
    from datamaster.platform.contract_changes import changes
    from lake.contract.store import POINTER_TTL_SECONDS
    from lake.contract.store import publish as put_in_force

    running, source = platform(home, env), folder or contracts_folder(home, env)
    new = check_contracts(source)
    old = current_contracts(running)
    if lacking := sorted(old.tables.keys() - new.tables.keys()):
        fail(f"{source} has no contract of {', '.join(lacking)}, which the platform carries; dm tables drop ends a table in order")
        return 1
    reloaded = [new.table(table).table for table in reload or ()]
    _print_changes(changes(old, new))
    version = put_in_force(source, running.contracts_uri, reloaded)
    out.print(f"Version {version} is in force; every function reads it within {POINTER_TTL_SECONDS:.0f} s.")
    if reloaded:
        time.sleep(POINTER_TTL_SECONDS + 1)  # every change behind the load's fence is read by the new names
    for table in reloaded:
        with step(f"Reload of {table}"):
            reload_table(running, table)
    return 0


@app.command()
def diff(
    old: Annotated[
        Path | None, typer.Argument(help="Folder of contracts. Default: those in force on the running platform.", exists=True)
    ] = None,
    new: Annotated[Path | None, typer.Argument(help="Folder of contracts. Default: the platform's folder.", exists=True)] = None,
    home: Home = Path(".dm"),
    env: Env = None,
) -> int:
    """Compare two sets of contracts. Shows the effect on existing rows, and a refusal of ``publish``. Exits 1 if they differ."""
    from datamaster.cli.contract_files import check_contracts
    from datamaster.platform.actions import current_contracts
    from datamaster.platform.contract_changes import changes
    from lake.contract.renames import known_names, names_of
    from lake.contract.store import published_names

    before = check_contracts(old) if old else current_contracts(platform(home, env))
    after = check_contracts(new or contracts_folder(home, env))
    found = changes(before, after)
    _print_changes(found)
    try:
        known_names(names_of(before.tables) if old else published_names(platform(home, env).contracts_uri), after.tables)
    except InvalidContract as error:
        fail(str(error))
        return 1
    return 1 if found else 0


@app.command()
def schema() -> None:
    """Print the JSON Schema of a contract, by which editors complete and check one."""
    from datamaster.aws.pages.contract_page import schema as of_contracts

    print(json.dumps(of_contracts(), indent=2, ensure_ascii=False))


def _print_changes(found: Sequence[ContractChange]) -> None:
    if found:
        rows = [(change.table, change.column, change.change, change.effect) for change in found]
        print_table(("table", "column", "change", "rows that are there"), rows)
    else:
        out.print("No difference.")


@app.command()
def init(
    table: Annotated[str, typer.Argument(help="The source table, as schema.table.")],
    source: Annotated[str | None, typer.Option(help="The database, as postgresql://…. Default: the running platform's.")] = None,
    folder: Folder = None,
    home: Home = Path(".dm"),
    env: Env = None,
    force: Annotated[bool, typer.Option(help="Write over a contract that is there.")] = False,
) -> None:
    """Write a contract for a table of the source database."""
    from datamaster.source.introspect import contract_yaml
    from lake.contract import parse_contract

    text = contract_yaml(source or platform(home, env).source, table)
    folder = folder or contracts_folder(home, env)
    path = folder / f"{parse_contract(text, table).table}.yaml"
    if path.exists() and not force:
        raise typer.BadParameter(f"{path} is there already; --force writes over it")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    err.print(f"Wrote {path}. Classify its text columns, then: dm contract check")
