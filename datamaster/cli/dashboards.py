"""Commands on the Grafana dashboards, and ``dm console``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from datamaster.cli.output import err, out, print_table
from datamaster.cli.session import Env, Home, connect, platform

if TYPE_CHECKING:
    from datamaster.aws.dashboards.grafana import DashboardScope, Grafana, GrafanaDrift

app = typer.Typer(no_args_is_help=True, help="The Grafana dashboards: what would change, bring them there, run their queries.")


Url = Annotated[str, typer.Option(help="Address of Grafana.", envvar="DM_GRAFANA_URL")]
Environment = Annotated[str, typer.Option("--env", help="The environment that the dashboards show.")]
Secret = Annotated[str, typer.Option(help="Secret that holds Grafana's token. Default: dm-grafana-<environment>.")]
WorkGroup = Annotated[str, typer.Option(help="Athena's work group. Default: dm-lake-<environment>.")]


@app.command()
def diff(url: Url, environment: Environment = "prod", secret: Secret = "", work_group: WorkGroup = "", home: Home = Path(".dm")) -> int:
    """Show the changes that a push would make. Exits 1 if there are any."""
    from datamaster.aws.dashboards.made_files import stored

    grafana, place = _target(url, environment, secret, work_group, home)
    changes = grafana.diff(place, stored())
    _show(changes)
    return 1 if changes else 0


@app.command()
def push(url: Url, environment: Environment = "prod", secret: Secret = "", work_group: WorkGroup = "", home: Home = Path(".dm")) -> int:
    """Create or change data sources and dashboards. Those that are up to date are not touched."""
    from datamaster.aws.dashboards.made_files import stored

    grafana, place = _target(url, environment, secret, work_group, home)
    _show(grafana.push(place, stored()))
    return 0


@app.command()
def check(environment: Environment = "local", work_group: WorkGroup = "", home: Home = Path(".dm")) -> int:
    """Run every panel's query. Exits 1 if one fails or returns nothing."""
    import boto3

    from datamaster.aws.dashboards.made_files import stored
    from datamaster.aws.dashboards.panel_check import check as run
    from datamaster.platform.query import Athena

    place = _place(environment, work_group, home)
    given = {"environment": place.environment, "region": place.region, "account": place.account}
    found = run(stored(), Athena(place.work_group), boto3.client("cloudwatch"), given)
    rows = [(one.dashboard, one.panel, one.found, one.problem or ("" if one.good else "empty")) for one in found]
    print_table(("dashboard", "panel", "rows or points", "problem"), rows, numeric=("rows or points",))
    bad = [one for one in found if not one.good]
    if bad:
        err.print(f"{len(bad)} of {len(found)} panels show nothing; correct their query in datamaster/aws/dashboards/{bad[0].dashboard}.py")
    return 1 if bad else 0


def console(
    port: Annotated[int, typer.Option(help="Port of 127.0.0.1; 0 finds a free one.")] = 8501,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser.")] = False,
    home: Home = Path(".dm"),
    env: Env = None,
) -> int:
    """Serve the console: files, tables, charts and SQL in a browser. It runs until Ctrl-C."""
    from datamaster.console import serve

    platform(home, env)
    return serve(port, browser)


def _target(url: str, environment: str, secret: str, work_group: str, home: Path) -> tuple[Grafana, DashboardScope]:
    from datamaster.aws.dashboards.grafana import Grafana, token

    place = _place(environment, work_group, home)
    named = secret or f"dm-grafana-{environment}"
    return Grafana(url, token(named), named), place


def _place(environment: str, work_group: str, home: Path) -> DashboardScope:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    from datamaster.aws.dashboards.grafana import DashboardScope
    from datamaster.aws.deploy.account import NoAccount

    if environment == "local":
        connect(home)
    session = boto3.Session()
    try:
        account = session.client("sts").get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        raise NoAccount(
            f"no AWS account for environment {environment}: {error}; set credentials and region of that account (aws configure, "
            "aws sso login, or AWS_PROFILE), or take --env local with a running platform"
        ) from error
    return DashboardScope(environment, session.region_name or "us-east-1", account, work_group or f"dm-lake-{environment}")


def _show(changes: list[GrafanaDrift]) -> None:
    if not changes:
        out.print("Grafana has everything as it should be")
        return
    rows = [(change.kind, change.name, "new" if change.absent else ", ".join(change.paths[:5])) for change in changes]
    print_table(("what", "name", "differs"), rows)
