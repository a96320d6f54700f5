"""Output and questions of ``dm up`` and ``dm tables add`` about a user's database."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from datamaster.cli.output import err, print_table
from datamaster.platform.counts import counted

if TYPE_CHECKING:
    from datamaster.source.preflight import Finding
    from datamaster.source.preparation import Preparation
    from datamaster.source.survey import Choice, SourceTable

COLUMNS = ("table", "rows, about", "kB", "key", "in the lake")

Tables = Annotated[list[str] | None, typer.Option("--table", help="A table of it, as schema.table; repeat for more.")]
Schemas = Annotated[list[str] | None, typer.Option("--schema", help="Only tables of this schema; repeat for more.")]
Include = Annotated[list[str] | None, typer.Option("--include", help="Only tables that fit this pattern, as 'order*' or 'shop.*'.")]
Exclude = Annotated[list[str] | None, typer.Option("--exclude", help="No tables that fit this pattern.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Take them without asking.")]


def choice(
    tables: Sequence[str] | None = None,
    schemas: Sequence[str] | None = None,
    include: Sequence[str] | None = None,
    exclude: Sequence[str] | None = None,
) -> Choice:
    """The options as a choice. Raises ``typer.BadParameter`` if a name is not schema.table, or if options exclude each other."""
    from datamaster.source.naming import SourceName
    from datamaster.source.survey import Choice
    from lake.contract.model import split_physical_name

    names = []
    for table in tables or ():
        schema, _, rest = table.partition(".")
        name = split_physical_name(table) or (schema, rest)
        if not all(name):
            raise typer.BadParameter(f'"{table}"; expected schema.table, as public.{table.strip(".") or "orders"}', param_hint="--table")
        names.append(SourceName(*name))
    if names and (schemas or include or exclude):
        raise typer.BadParameter(
            "--table names tables one by one; --schema, --include and --exclude choose among all", param_hint="--table"
        )
    return Choice(tuple(names), tuple(schemas or ()), tuple(include or ()), tuple(exclude or ()))


def show(plan: Preparation, asked: Choice) -> None:
    """Print the tables of the database, their names in the lake, and the reasons for those left out."""
    findings("The database", plan.findings)
    left_out = [table for table in plan.tables if table.name not in plan.names and table.name not in plan.refused]
    if plan.tables:
        shown = [t for t in plan.tables if t.name in plan.names or t.name in plan.refused or not asked.tables]
        print_table(COLUMNS, [_row(plan, table) for table in shown], numeric=COLUMNS[1:3])
    if asked.tables and left_out:
        err.print(f"{counted(len(left_out), 'other table')} of the database: not asked for")
    findings("Left out", (finding for found in plan.refused.values() for finding in found))


def findings(title: str, found: Iterable[Finding]) -> None:
    """Print problems of the database and their remedies."""
    rows = [(finding.subject, finding.problem, finding.remedy) for finding in found]
    if rows:
        print_table(("what", "found", "how to give it"), rows, title)


def agreed(plan: Preparation, asked: Choice, yes: bool) -> bool:
    """Whether to go on. Asks on a terminal, unless tables were named one by one or ``yes`` is set."""
    if yes or asked.tables or not plan.contracts or not sys.stdin.isatty():
        return True
    return typer.confirm(f"Take {counted(len(plan.names), 'table')}?", default=True, err=True)


def _row(plan: Preparation, table: SourceTable) -> tuple[object, ...]:
    name = plan.names.get(table.name)
    if name:
        fate = f"dm_silver.{name}"
    elif table.name in plan.refused or table.obstacle:
        fate = f"– {table.obstacle or 'cannot be taken, see below'}"
    else:
        fate = f"– part of the extension {table.extension}" if table.extension else "– not asked for"
    return (str(table.name), "" if table.rows is None else f"{table.rows:,}", f"{table.bytes / 1000:,.0f}", ", ".join(table.key), fate)
