"""``dm size``: the rate of changes that the templates carry on AWS, and the cost of a month."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from datamaster.aws.sizing.capacity import ON_AWS, Capacity
from datamaster.aws.sizing.documents import cost_document, cost_page, scale_document, scale_page
from datamaster.aws.sizing.scale import LOADS, ChangeRate
from lake.errors import TerminalError

app = typer.Typer(no_args_is_help=True, help="Quotas and prices of AWS, against the numbers in the templates. Calls nothing.")

Environment = Annotated[str, typer.Option("--env", help="Whose settings: lean, dev, staging or prod.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class NoSuchEnvironment(TerminalError):
    """No environment on AWS has that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f'unknown environment "{name}"; one of {", ".join(ON_AWS)}')


class InvalidRate(TerminalError):
    """The rate of changes is not above 0."""

    def __init__(self, rate: float) -> None:
        super().__init__(f"--changes {rate:g}: changes a second, more than 0, expected")


@app.command()
def scale(
    env: Environment = "prod",
    changes: Annotated[float | None, typer.Option(help="Changes a second. Default: five loads.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show which service reaches its limit first at a rate of changes, and the settings to raise."""
    if changes is not None and changes <= 0:
        raise InvalidRate(changes)
    loads = LOADS if changes is None else (ChangeRate(f"{changes:g}/s", changes),)
    road = _road(env)
    typer.echo(json.dumps(scale_document(road, loads), indent=2) if as_json else scale_page(road, loads))


@app.command()
def cost(env: Environment = "prod", as_json: AsJson = False) -> None:
    """Show the cost of a month of 1 GB, 100 GB and 5 TB of changes, by service, beside other products."""
    road = _road(env)
    typer.echo(json.dumps(cost_document(road), indent=2) if as_json else cost_page(road))


def _road(environment: str) -> Capacity:
    if environment not in ON_AWS:
        raise NoSuchEnvironment(environment)
    return Capacity.of(environment)
