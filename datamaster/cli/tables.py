"""``dm tables``: the tables of the source that a running platform replicates or exports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from datamaster.cli import taking
from datamaster.cli.output import fail, out, print_json, print_table, step
from datamaster.cli.session import Env, Home, connect, platform
from datamaster.platform.counts import counted

app = typer.Typer(
    no_args_is_help=True, help="The tables of the source that are carried: list, add, drop. dm table shows those of the lake."
)
Json = Annotated[bool, typer.Option("--json", help="JSON for scripts.")]
COLUMNS = ("table", "in the lake", "state", "loaded", "inserts", "updates", "deletes")


@app.command("ls")
def list_tables(json: Json = False, home: Home = Path(".dm"), env: Env = None) -> None:
    """List the carried tables with the state of their loads and the number of changes since."""
    from datamaster.platform.actions import current_contracts
    from datamaster.platform.table_loads import carried

    running = platform(home, env)
    loads = carried(running.environment)
    rows = []
    for contract in sorted(current_contracts(running).tables.values(), key=lambda c: (c.source_schema, c.source_table)):
        name = f"{contract.source_schema}.{contract.source_table}"
        load = loads.get(name)
        numbers = (load.rows, load.inserts, load.updates, load.deletes) if load else (0, 0, 0, 0)
        fate = load.state if load else "Not replicated" if contract.cdc else "By export only"
        rows.append((name, f"dm_silver.{contract.table}", fate, *numbers))
    if json:
        print_json([dict(zip(COLUMNS, row, strict=True)) for row in rows])
    else:
        print_table(COLUMNS, rows, numeric=COLUMNS[3:])
        out.print(counted(len(rows), "table"))


@app.command()
def add(
    tables: Annotated[list[str] | None, typer.Argument(help="Tables, as schema.table. Default: every table that can be taken.")] = None,
    schema: taking.Schemas = None,
    include: taking.Include = None,
    exclude: taking.Exclude = None,
    yes: taking.Yes = False,
    home: Home = Path(".dm"),
) -> int:
    """Take more tables of the source, and load only these. Exits 1 if a table that you named was left out."""
    from datamaster.laptop import carried
    from datamaster.source.preparation import plan

    running = connect(home)
    chosen = taking.choice(tables, schema, include, exclude) if tables or schema or include or exclude else taking.choice(include=["*"])
    planned = plan(running.dsn, chosen, running.contracts, running.slot, running=True)
    taking.show(planned, chosen)
    if not planned.contracts:
        fail("nothing to add: the tables that can be taken are carried already")
        return 1
    if not taking.agreed(planned, chosen, yes):
        return 1
    with step("Take the new tables") as current:
        rows = carried.add(running, planned, current.say)
        current.done(f"{counted(len(planned.contracts), 'table')}, {counted(rows, 'row')}; dm run silver brings them to silver")
    return 1 if any(name in planned.refused for name in chosen.tables) else 0


@app.command()
def drop(table: Annotated[str, typer.Argument(help="The lake's name of the table.")], home: Home = Path(".dm")) -> None:
    """Stop carrying a table. Changes on their way arrive first. Its contract is removed, and its rows in the lake stay."""
    from datamaster.laptop import carried
    from datamaster.platform.actions import contract_of

    running = connect(home)
    with step(f"Drop {table}") as current:
        carried.drop(running, contract_of(running, table), current.say)
        current.done("its rows stay in the lake")
