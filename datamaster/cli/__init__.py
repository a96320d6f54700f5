"""The ``dm`` command.

Exit codes: 0 done · 1 the answer is no (differences, a failed run, a refused statement) · 2 wrong usage or input ·
3 the platform or a service cannot be reached · 130 interrupted.
"""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

import typer
from typer.exceptions import TyperException
from typer.rich_utils import rich_format_error

from datamaster.cli import contract, dashboards, data, deploy, errors, files, lake, local, quarantine, size, table, tables, version
from datamaster.cli.output import fail
from lake.errors import LakeError, TransientError

DONE, NO, WRONG_INPUT, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130

app = typer.Typer(
    name="dm",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="Exit codes: 0 done, 1 the answer is no, 2 wrong usage or input, 3 out of reach, 130 interrupted.",
)

for register in (local.register, data.register, lake.register, deploy.register):
    register(app)
for installed in entry_points(group="datamaster.commands"):
    installed.load()(app)
app.add_typer(contract.app, name="contract")
app.add_typer(files.app, name="files")
app.add_typer(errors.app, name="errors")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(table.app, name="table")
app.add_typer(tables.app, name="tables")
app.add_typer(dashboards.app, name="dashboards")
app.add_typer(size.app, name="size")
app.command()(dashboards.console)
app.callback()(version.root)


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run())


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    try:
        code = app(args=arguments, prog_name="dm", standalone_mode=False)
    except typer.Abort:
        code = INTERRUPTED
    except TyperException as error:
        rich_format_error(error)  # type: ignore[arg-type]  # only usage errors come here
        return WRONG_INPUT
    except TransientError as error:
        fail(str(error))
        return UNREACHABLE
    except LakeError as error:
        fail(str(error))
        return WRONG_INPUT
    except Exception as error:
        from datamaster.platform.aws_errors import out_of_reach  # slow to import, and needed after an error alone

        if (reason := out_of_reach(error)) is None:
            raise
        fail(reason)
        return UNREACHABLE
    if code == INTERRUPTED:
        fail("interrupted")
    return code if isinstance(code, int) else DONE
