"""An environment that is deployed in an account, found by its stacks."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from datamaster.aws.deploy.account import Account, connect
from datamaster.aws.deploy.environments import Environment, known_environments, load_environment
from datamaster.aws.deploy.replication import STACK as REPLICATION
from datamaster.aws.deploy.stacks import Outputs, cloudformation, outputs_by_name
from datamaster.aws.operation import account_picture
from datamaster.platform import SOURCE_VARIABLE, STACKS, Platform, Progress, api_client, deployed_names
from datamaster.platform.counts import counted
from datamaster.platform.picture import Picture, by_status
from datamaster.platform.settled import Stage, wait_for
from datamaster.platform.table_loads import carried
from ingest.refused_records import Group, Refused, grouped, not_loaded_since
from lake.control.inbox import Selection
from lake.control.records import PENDING, RUNNING
from lake.errors import TerminalError

POLL_SECONDS = 5.0
NEEDED = (*STACKS, "security")


class NotDeployed(TerminalError):
    """The account does not hold the environment, or not all that a command needs of it."""

    def __init__(self, environment: Environment, account: Account, lacking: Iterable[str], there: Iterable[str]) -> None:
        name, place = environment.name, f"account {account.number}, {environment.region}"
        known = ", ".join(there)
        if name in there:
            what = f'environment "{name}" in {place} lacks {", ".join(lacking)}'
        else:
            what = f'environment "{name}" is not deployed in {place}; ' + (f"there is {known}" if known else "nothing is deployed there")
        super().__init__(f"{what}. Next: dm deploy --env {name}")


class ThisMachine(TerminalError):
    """The environment is a laptop's."""

    def __init__(self, name: str) -> None:
        super().__init__(f'environment "{name}" is this machine: leave --env out; --home chooses the platform')


@dataclass(frozen=True)
class Installation(Platform):
    """An environment in an account. ``region`` and ``outputs`` are those of its stacks."""

    name: str
    account: str
    region: str
    outputs: Outputs

    def settle(self, progress: Progress) -> Counter[str]:
        """Wait until every registered file is in bronze, or failed. Changes in DMS, stream and delivery are not waited for."""

        def waiting() -> int:
            found = self.files()
            return found[PENDING] + found[RUNNING]

        stage = Stage("registered files to bronze", lambda: not waiting(), lambda: counted(waiting(), "file"))
        wait_for([stage], progress, poll_seconds=POLL_SECONDS)
        return self.files()

    def files(self) -> Counter[str]:
        """The number of files by status."""
        return by_status(api_client.list_tables()["tables"])

    def refusals(self, selection: Selection) -> tuple[list[Group], list[Refused]]:
        """Those that the router's log names, without their rows: no person may read what lies under errors/."""
        began = {name: table.started for name, table in carried(self.environment).items() if table.started}
        rows = [row for row in account_picture.refused_in(self.log_of("transform_records")) if row.is_in(selection)]
        return grouped(rows, not_loaded_since(began)), rows

    def picture(self) -> Picture:
        """Replication and alarms too."""
        return account_picture.picture(self)

    def log_of(self, function: str) -> str:
        """The log group of a function."""
        return f"/aws/lambda/{self.functions[function]}"


def find(name: str) -> Installation:
    """The environment as it is deployed. This process's region becomes its own.

    Raises ``UnknownEnvironment``, ``ThisMachine``, ``WrongPlace``, ``NoAccount``, ``NotDeployed``.
    """
    environment = load_environment(name)
    if environment.variables["laptop"]:
        raise ThisMachine(name)
    account = connect(environment)
    client, prefix = cloudformation(environment), f"dm-{environment.name}-"
    found = outputs_by_name(client, (prefix + stack for stack in (*NEEDED, REPLICATION)))
    outputs = {stack.removeprefix(prefix): held for stack, held in found.items()}
    if lacking := sorted(set(NEEDED) - outputs.keys()):
        others = outputs_by_name(client, (f"dm-{known}-storage" for known in known_environments()))
        raise NotDeployed(environment, account, lacking, [stack.split("-")[1] for stack in others])
    replication = outputs.get(REPLICATION, {})
    variables = {
        "MASK_KEY_SECRET": outputs["security"]["MaskKeyArn"],
        "DMS_REPLICATION_CONFIG_ARN": replication.get("ReplicationConfigArn", ""),
        "DMS_TASK_ARN": replication.get("ReplicationTaskArn", ""),
    }
    return Installation(
        **deployed_names(outputs),
        environment=variables,
        dsn=os.environ.get(SOURCE_VARIABLE, ""),
        name=environment.name,
        account=account.number,
        region=environment.region,
        outputs=outputs,
    )
