"""``dm contract``: write and check contracts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from datamaster.cli.output import err, out, print_table
from datamaster.cli.session import Home, contracts_folder, source_dsn
from datamaster.platform.counts import counted

app = typer.Typer(no_args_is_help=True, help="Write and check contracts: one YAML file a source table.")
Folder = Annotated[
    Path | None, typer.Option("--contracts", help="Folder of the contracts; the platform's in --home where not given.", file_okay=False)
]


@app.command()
def check(folder: Folder = None, home: Home = Path(".dm")) -> None:
    """Hold every contract against the standard and the lake's rules."""
    from datamaster.cli.contract_files import check_contracts

    contracts = check_contracts(folder or contracts_folder(home))
    rows = [
        (c.table, f"{c.source_schema}.{c.source_table}", len(c.columns), ", ".join(k.name for k in c.key), c.evolution)
        for c in contracts.tables.values()
    ]
    print_table(("table", "source", "columns", "key", "evolution"), rows, numeric=("columns",))
    out.print(f"{counted(len(rows), 'contract')} valid; version {contracts.version}.")


@app.command()
def init(
    table: Annotated[str, typer.Argument(help="The source table, as schema.table.")],
    source: Annotated[str | None, typer.Option(help="The database, as postgresql://…; the running platform's where not given.")] = None,
    folder: Folder = None,
    home: Home = Path(".dm"),
    force: Annotated[bool, typer.Option(help="Write over a contract that is there.")] = False,
) -> None:
    """Write a contract for a table of the source database."""
    from datamaster.source.introspect import contract_yaml

    text = contract_yaml(source or source_dsn(home), table)
    folder = folder or contracts_folder(home)
    path = folder / f"{table.split('.')[-1]}.yaml"
    if path.exists() and not force:
        raise typer.BadParameter(f"{path} is there already; --force writes over it")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    err.print(f"Wrote {path}. Classify its text columns, then: dm contract check")
