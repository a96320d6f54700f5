"""``dm deploy`` and ``dm destroy``: create the lakehouse in an AWS account, and delete it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml
from rich.markup import escape

from datamaster.cli.output import err, fail, out, print_json, print_table

if TYPE_CHECKING:
    from datamaster.aws.deploy.deployment import Deployment
    from datamaster.aws.deploy.environments import Environment
    from datamaster.aws.deploy.watch import StackChanges

Env = Annotated[str, typer.Option("--env", help="The environment: a file under environments/.")]
Stacks = Annotated[list[str] | None, typer.Option("--stack", help="Only this stack and what it needs; repeat for more.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; for scripts.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Replace a value of the environment's file, as name=value; repeat for more.")]
MARKS = {"Add": "+", "Modify": "~", "Remove": "-", "Import": "<"}


def register(app: typer.Typer) -> None:
    """Add the commands to ``dm``."""
    app.command()(deploy)
    app.command()(destroy)


def deploy(
    env: Env,
    stack: Stacks = None,
    set_: Set = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show order, parameters and resources; call nothing on AWS.")] = False,
    drift: Annotated[bool, typer.Option("--drift", help="Show what was changed by hand; change nothing.")] = False,
    yes: Yes = False,
    fix: Annotated[bool, typer.Option("--fix", help="Close the gaps of the account that nothing else in it depends on.")] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON for scripts.")] = False,
    contracts: Annotated[
        Path | None, typer.Option("--contracts", help="Folder of the contracts. Default: the environment's.", file_okay=False)
    ] = None,
) -> int:
    """Deploy the templates to an AWS account. Shows the changes and asks before it makes them.

    Resources without a change are not touched. Exits 1 if the account is not ready, a stack failed, you did not agree, or
    something drifted. Exits 3 if AWS cannot be reached.
    """
    environment = _environment(env, set_ or [])
    if dry_run:
        return _show_plan(environment, stack or [], json)
    from datamaster.aws.deploy import account

    who = account.connect(environment)
    if drift:
        return _show_drift(environment, stack or [], json)
    err.print(f"Account {who.number}, {environment.region}, as {escape(who.identity)}")
    if not _ready(environment, stack or [], who.identity, fix):
        return 1
    with _watch() as watch:
        deployment = _brought(env, environment.variables, stack or [], contracts, watch, yes)
    if deployment is None:
        return 1
    if json:
        _print_deployment(env, deployment, watch.outcomes)
    else:
        _say_deployment(deployment, watch.outcomes)
    return 0


def _brought(
    env: str, variables: Mapping[str, Any], stacks: list[str], contracts: Path | None, watch: _Watch, yes: bool
) -> Deployment | None:
    """The deployment, or None after an error. The error names the next step."""
    from datamaster.aws.deploy.change_sets import Declined, StackStuck
    from datamaster.aws.deploy.deployment import deploy as bring
    from datamaster.aws.deploy.docker import DockerFailed
    from datamaster.aws.deploy.lake_access import LakeOpen
    from datamaster.aws.deploy.migrations import MigrationChanged, MigrationFailed, SourceStopped
    from datamaster.aws.deploy.replication import ReplicationFailed
    from datamaster.aws.deploy.stacks import StackFailed
    from datamaster.aws.deploy.watch import Watch

    try:
        asking = _Asking(yes, watch.pause)
        seen = Watch(asking, watch.progress, watch.finished)
        return bring(env, contracts=contracts, variables=variables, stacks=stacks, watch=seen)
    except (
        StackFailed,
        StackStuck,
        Declined,
        LakeOpen,
        MigrationFailed,
        MigrationChanged,
        SourceStopped,
        DockerFailed,
        ReplicationFailed,
    ) as error:
        fail(str(error))
        return None


def _print_deployment(env: str, deployment: Deployment, outcomes: Mapping[str, str]) -> None:
    done = {"contracts": deployment.contracts_version, "migrations": deployment.migrations, "stacks": outcomes}
    replication = {"started": deployment.replication_started, "waits_for": deployment.replication_waits_for}
    print_json({"environment": env, **done, "replication": replication, "outputs": deployment.outputs})


def _say_deployment(deployment: Deployment, outcomes: Mapping[str, str]) -> None:
    unchanged = sum(outcome == "unchanged" for outcome in outcomes.values())
    ran = f" Migrations run: {', '.join(deployment.migrations)}." if deployment.migrations else ""
    out.print(f"{len(outcomes) - unchanged} stacks changed, {unchanged} unchanged.{ran}")
    if deployment.replication_started:
        out.print("The replication starts: it loads every table, then follows the changes.")
    if deployment.replication_waits_for:
        out.print(f"The replication is not started: {', '.join(map(escape, deployment.replication_waits_for))} is not there yet.")
        out.print("Next: dm deploy again on a machine where Docker runs, which makes it.")


def destroy(
    env: Env,
    stack: Annotated[list[str] | None, typer.Option("--stack", help="Only this stack and what needs it; repeat for more.")] = None,
    set_: Set = None,
    delete_data: Annotated[bool, typer.Option("--delete-data", help="Also delete buckets with every version, tables, keys.")] = False,
    yes: Yes = False,
) -> int:
    """Delete an environment's stacks. Stacks that hold data stay, unless --delete-data is given.

    Exits 1 if a stack could not be deleted or you did not agree. Exits 3 if AWS cannot be reached.
    """
    from datamaster.aws.deploy import account
    from datamaster.aws.deploy import removal as removing
    from datamaster.aws.deploy.replication import ReplicationFailed
    from datamaster.aws.deploy.stacks import StackFailed
    from datamaster.aws.deploy.watch import Watch

    environment = _environment(env, set_ or [])
    who = account.connect(environment)
    what = removing.removal(environment, stack or [], delete_data=delete_data)
    left = removing.left_behind(environment) if delete_data and not stack else []
    if not what.going and not left:
        out.print(f"Nothing to delete: {', '.join(what.staying) or 'no stack'} of {env} {'stay' if what.staying else 'is there'}.")
        return 0
    print_table(("stack", "what becomes of it"), [(n, "deleted") for n in what.going] + [(n, "stays: data") for n in what.staying])
    if not yes and typer.prompt(f'This deletes from account {who.number}. Type "{env}" to go on', err=True, default="") != env:
        fail("not agreed: nothing was deleted")
        return 1
    with _watch() as watch:
        try:
            seen = Watch(progress=watch.progress, finished=watch.finished)
            removing.destroy(environment, what, seen)
            removed = removing.delete_data(environment, seen) if delete_data and not stack else []
        except (StackFailed, ReplicationFailed, removing.NotRemoved) as error:
            fail(str(error))
            return 1
    for kept in removed:
        fate = f"scheduled for deletion in {removing.KEY_WAITING_DAYS} days" if kept.kind == "AWS::KMS::Key" else "deleted with all it held"
        out.print(f"{kept.kind} {kept.name}: {fate}")
    if not delete_data:
        remaining = removing.left_behind(environment)
        rows = [(kept.kind, kept.name) for kept in remaining]
        if rows:
            print_table(("kept", "name"), rows)
    out.print(
        f"{len(what.going)} stacks deleted"
        + (f", {len(what.staying)} stay with the data: {', '.join(what.staying)}." if what.staying else ".")
    )
    return 0


def _ready(environment: Environment, stacks: Sequence[str], identity: str, fix: bool) -> bool:
    """Show the problems of the account and fix those that ``fix`` allows. Returns whether the deployment can begin."""
    from datamaster.aws.deploy.account_preflight import preflight
    from datamaster.aws.deploy.stacks import deployed, launch_order

    wanted = frozenset(name for level in launch_order(environment, stacks) for name in level)
    found = preflight(environment, wanted, frozenset(deployed(environment)), identity)
    for gap in found:
        if fix and gap.fix:
            gap.fix()
            err.print(f"[green]closed[/green] {escape(gap.what)}")
            continue
        by_itself = ", or dm deploy --fix" if gap.fix else ""
        err.print(f"[{'red' if gap.blocks else 'yellow'}]{'stops' if gap.blocks else 'note'}[/] {escape(gap.what)}")
        err.print(f"      Next: {escape(gap.next)}{by_itself}", soft_wrap=True)
    if any(gap.blocks for gap in found):
        fail("the deployment would fail in this account; nothing was changed")
        return False
    return True


def _environment(name: str, replaced: Sequence[str]) -> Environment:
    from datamaster.aws.deploy.environments import load_environment

    environment = load_environment(name)
    if environment.variables["laptop"]:
        raise typer.BadParameter(f'"{name}" is this machine: dm up deploys to it, dm down takes it away', param_hint="--env")
    values = dict(_value(text, environment) for text in replaced)
    return environment.with_variables(values)


def _value(text: str, environment: Environment) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    file = f"environments/{environment.name}.yaml"
    if not equals or name not in environment.variables:
        known = ", ".join(sorted(environment.variables.keys() - {"environment", "laptop", "region"}))
        raise typer.BadParameter(f'"{text}" is not name=value of a name in {file}: {known}', param_hint="--set")
    return name, yaml.safe_load(value)


def _show_plan(environment: Environment, stacks: Sequence[str], json: bool) -> int:
    from datamaster.aws.deploy.deployment import BUILD
    from datamaster.aws.deploy.preview import preview

    found = preview(environment, BUILD, stacks)
    if json:
        print_json([vars(stack) for stack in found])
        return 0
    out.print(f"{environment.name} in {environment.region}. Stacks of one level come up side by side, after those of the levels before.")
    out.print("A value such as security.LakeKeyArn is what another stack gives; the others stand in config/ and the environment's file.")
    for stack in found:
        count = sum(stack.resources.values())
        out.print(f"\n[bold]{stack.level}. dm-{environment.name}-{stack.stack}[/bold]: {_counted(count, 'resource')}")
        out.print(f"   {escape(stack.about)}")
        out.print("   " + escape(", ".join(f"{number} {kind}" for kind, number in stack.resources.items())))
        for name, value in stack.parameters.items():
            out.print(f"   [dim]{escape(name)}[/dim] = {escape(value) or '[dim](empty)[/dim]'}")
    total = sum(sum(stack.resources.values()) for stack in found)
    size = f"{_counted(len(found), 'stack')} in {_counted(found[-1].level, 'level')}, {_counted(total, 'resource')}"
    out.print(f"\n{size}. Nothing was called on AWS.")
    if any(stack.stack == "database" for stack in found):
        out.print(
            "After the stacks, new files of the environment's migrations are run in the source database, and its replication starts once."
        )
    return 0


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _show_drift(environment: Environment, stacks: Sequence[str], json: bool) -> int:
    from datamaster.aws.deploy.drift import drift
    from datamaster.aws.deploy.watch import Watch

    with _watch() as watch:
        found = drift(environment, stacks, Watch(progress=watch.progress))
    if json:
        print_json([vars(line) for line in found])
    elif found:
        print_table(
            ("stack", "resource", "property", "template", "account"),
            [(d.stack, d.resource, d.property, d.expected, d.actual) for d in found],
        )
        out.print("dm deploy does not undo this while the templates stay as they are: set it back by hand, or write it into the template.")
    else:
        out.print("Nothing was changed by hand, as far as CloudFormation can tell.")
    return 1 if found else 0


class _Asking:
    """Shows the changes of a level and asks whether to make them. The answer ``a`` agrees to all later levels too."""

    def __init__(self, yes: bool, pause: Callable[[], None]) -> None:
        self._agreed, self._pause = yes, pause

    def __call__(self, proposed: Sequence[StackChanges]) -> bool:
        self._pause()
        for changes in proposed:
            err.print(f"[bold]{changes.stack}[/bold] {'(new)' if changes.new else ''}")
            for change in changes.changes:
                replaced = " [red]replaced[/red]" if change.replaced else ""
                err.print(f"  {MARKS.get(change.action, '?')} {change.resource} [dim]{change.kind}[/dim]{replaced}")
        if self._agreed:
            return True
        answer = typer.prompt("Make these changes? y(es), a(ll that follow too), n(o)", err=True, default="n").strip().lower()
        self._agreed = answer in ("a", "all")
        return self._agreed or answer in ("y", "yes")


class _Watch:
    """Progress of a deployment: one line for each finished stack and, on a terminal, a status line."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}
        self._status = err.status("") if err.is_terminal else None

    def progress(self, message: str) -> None:
        """Show the current step in the status line."""
        if self._status:
            self._status.update(escape(message))
            self._status.start()

    def finished(self, stack: str, outcome: str, seconds: float) -> None:
        """Print the outcome of a stack, unless it is unchanged."""
        self.outcomes[stack] = outcome
        if outcome != "unchanged":
            mark = "[red]✗[/red]" if outcome == "failed" else "[green]✓[/green]"
            err.print(f"{mark} {stack}: {outcome} [dim]({seconds:.1f} s)[/dim]")

    def pause(self) -> None:
        """Hide the status line, so that a question can be asked."""
        if self._status:
            self._status.stop()


@contextmanager
def _watch() -> Iterator[_Watch]:
    watch = _Watch()
    try:
        yield watch
    except KeyboardInterrupt:
        watch.pause()
        err.print("CloudFormation goes on with what it has begun. The same command again picks up from there.")
        raise
    finally:
        watch.pause()
        sys.stderr.flush()
