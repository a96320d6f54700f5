"""The Spark jobs' role holds what their work asks for: every job runs by its credentials, and its calls are read off the wire."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from pyiceberg.catalog import load_catalog
from pyiceberg.schema import Schema
from pyiceberg.types import StringType

from batches import maintenance_batches
from beer import CONTRACTS
from datamaster.aws.cloudformation.policies import listed
from datamaster.aws.cloudformation.rendering import Template
from datamaster.aws.deploy.change_sets import launch
from datamaster.aws.deploy.environments import load_environment
from datamaster.laptop.drivers import start_driver
from datamaster.laptop.emulator import start_emulator
from datamaster.laptop.process import tail
from datamaster.laptop.spark import job_environment, start_spark
from datamaster.project import PROJECT
from datamaster.wire import ACCOUNT
from lake.contract import ContractSet
from lake.contract.store import publish

from .implied import UPLOADS
from .recorder import Call
from .rights import Places, Right, extra, missing
from .wire import Wire

pytestmark = pytest.mark.integration
JOBS = PROJECT / "emr-jobs"
SERVERLESS = "https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide"
MARCH, APRIL = 1583020800, 1585699200
SMALL_FILES = 16
"""So many in a batch are gathered beside its manifest first."""
TIMEOUT_SECONDS = 180


@dataclass
class JobWork:
    """What ran by the job's role: the calls on the wire, the role's policies, and where things lie."""

    calls: list[Call]
    failures: list[str]
    policies: list[dict[str, Any]]
    values: dict[str, str]

    @property
    def needed(self) -> list[Right]:
        lake, artifacts = self.values["LakeBucket"], self.values["ArtifactsBucket"]
        key = self.values["LakeKeyArn"]
        places = Places("", {lake: key, artifacts: key, self.values["ObserverBucket"]: key}, "", "", "")
        return [right for call in self.calls for right in places.of(call)] + list(self._implied())

    def _implied(self) -> Iterator[Right]:
        """What EMR does in the job's name before and after its code, and what a write that fails half way asks for."""
        artifacts = f"arn:aws:s3:::{self.values['ArtifactsBucket']}"
        for kind in ("emr-jobs", "emr-environment"):
            yield Right("s3:GetObject", f"{artifacts}/{kind}/x", page=f"{SERVERLESS}/security-iam-runtime-role.html")
        logs = f"arn:aws:s3:::{self.values['ObserverBucket']}/emr/x"
        yield Right("s3:PutObject", logs, page=f"{SERVERLESS}/logging.html")
        for place in ("batches", "silver", "gold", "quarantine"):
            yield Right("s3:AbortMultipartUpload", f"arn:aws:s3:::{self.values['LakeBucket']}/{place}/x", page=UPLOADS)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobWork]:
    home = tmp_path_factory.mktemp("job-role")
    with start_emulator(home / "emulator", authorize=True) as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        patch.syspath_prepend(str(PROJECT / "tests" / "integration" / "jobs"))
        outputs = launch(load_environment("local"), ["catalog", "control"])
        storage = outputs["storage"]
        contracts = f"s3://{storage['ArtifactsBucket']}/contracts/"
        publish(CONTRACTS, contracts)
        values = {
            "Environment": "local",
            "LakeKeyArn": outputs["security"]["LakeKeyArn"],
            **{name: storage[name] for name in ("ArtifactsBucket", "LakeBucket", "ObserverBucket")},
        }
        policies = Template(PROJECT / "templates" / "processing-emr.yaml", values).policies_of("JobRole")
        wire = Wire(running.environment["AWS_ENDPOINT_URL"])
        as_role = running.environment | credentials(policies) | {"AWS_ENDPOINT_URL": wire.url}
        names = {
            "table": outputs["control"]["TableName"],
            "stage": storage["StageBucket"],
            "lake": storage["LakeBucket"],
            "contracts": contracts,
        }
        with wire.listening(), start_spark(as_role, home / "sail.log") as spark:
            a_day(lake_of(names, job_environment(as_role, spark.remote), home), home)
        yield JobWork(wire.calls, wire.failures, policies, values)


# The emulator takes the name in GetDatabase for a table's. The role is judged by its own policies, without this.
EMULATORS_DATABASES = {
    "Statement": [
        {"Effect": "Allow", "Action": "glue:GetDatabase", "Resource": f"arn:aws:glue:us-east-1:{ACCOUNT}:table/{name}"}
        for name in ("dm_silver", "dm_gold")
    ]
}


def credentials(policies: list[dict[str, Any]]) -> dict[str, str]:
    """The environment of someone who took a role with these policies."""
    iam = boto3.client("iam")
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}]}
    arn = iam.create_role(RoleName="probe-jobs", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    for number, policy in enumerate([*policies, EMULATORS_DATABASES]):
        iam.put_role_policy(RoleName="probe-jobs", PolicyName=f"p{number}", PolicyDocument=json.dumps(policy))
    keys = boto3.client("sts").assume_role(RoleArn=arn, RoleSessionName="job")["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }


def lake_of(names: Mapping[str, str], environment: Mapping[str, str], home: Path) -> Any:
    """A lake whose jobs are processes with the role's credentials; all else is the administrator's."""
    from tests.integration.jobs.domain import Lake

    class LakeOfTheRole(Lake):
        def run(self, batch: Mapping[str, Any], job: str = "bronze_to_silver") -> None:
            log = home / f"{job}.log"
            arguments = ["--manifest", batch["manifest"]]
            driver = start_driver(JOBS / f"{job}.py", arguments, [str(JOBS)], environment, log)
            assert driver.wait(TIMEOUT_SECONDS) == 0, tail(log)

    return LakeOfTheRole(None, names, ContractSet.from_directory(CONTRACTS))


def a_day(lake: Any, home: Path) -> None:
    """Loads, changes, a key that moves; a batch of many small files that brings new columns, binary among them, and a row that
    a rule holds back, run twice; review_flat and gold; derived tables that an older definition left; the maintenance of all that."""
    from tests.integration.jobs.domain import delete, insert, load, update

    lake.arrives(insert("brewery", 1, brewery_id=1, brewery_name="Dupont"))
    lake.arrives(insert("beer", 2, beer_id=1, beer_name="Saison", beer_style="Saison"))
    lake.arrives(insert("profile", 3, profile_id=1, profile_name="Ana", state="Bahia"))
    lake.arrives(*(insert("review", 10 + n, review_id=n, review_time=MARCH + n, review_overall=4.0) for n in range(30)))
    lake.merge()
    lake.build_review_flat()
    lake.build_gold()

    publish(wider_contracts(home / "contracts"), lake.names["contracts"])
    lake.contracts = ContractSet.from_directory(home / "contracts")
    lake.fence("beer", 10)
    for number in range(1, SMALL_FILES):
        lake.arrives(update("beer", 100 + number, beer_id=1, beer_name="Saison Dupont", colour="gold", label=b"\x89"))
    lake.arrives(load("beer", 11, beer_id=2, beer_name="Avec les bons voeux", colour=None))
    lake.arrives(update("review", 201, review_id=1, review_time=APRIL), delete("review", 202, review_id=2))
    for batch in lake.plan():
        lake.run(batch)
        if batch["table"] == "beer":
            of_another_type("dm_silver", "beer_folded__dm_staged", "beer_id")
            lake.run(batch)
        lake.settler().silver(batch)
    lake.build_review_flat()
    of_another_type("dm_gold", "state_by_review_volume", "review_count")
    lake.build_gold()

    maintenance = maintenance_batches.Maintenance.of(lake.settings(), lake.execution)
    for batch in maintenance.plan((), 0).batches:
        lake.run(batch, "maintenance")


def wider_contracts(folder: Path) -> Path:
    """The project's contracts with two columns more in beer, of which one has to be there."""
    folder.mkdir()
    shutil.copytree(CONTRACTS / "derived", folder / "derived")
    for path in CONTRACTS.glob("*.yaml"):
        contract = yaml.safe_load(path.read_text())
        if path.stem == "beer":
            contract["version"] = "1.1.0"
            present = {"metric": "nullValues", "severity": "quarantine"}
            contract["schema"][0]["properties"] += [
                {
                    "name": "colour",
                    "logicalType": "string",
                    "physicalType": "varchar(20)",
                    "classification": "public",
                    "quality": [present],
                },
                {"name": "label", "physicalType": "bytea"},
            ]
        (folder / path.name).write_text(yaml.safe_dump(contract, sort_keys=False))
    return folder


def of_another_type(database: str, table: str, column: str) -> None:
    """Make a derived table anew, empty, with text in a column of numbers: as an older definition of it may have left it."""
    definitions = load_catalog("lake", type="glue", **{"s3.endpoint": os.environ["AWS_ENDPOINT_URL"], "s3.region": "us-east-1"})
    found = definitions.load_table((database, table))
    fields = [field.model_copy(update={"field_type": StringType()}) if field.name == column else field for field in found.schema().fields]
    location = f"{found.location()}/older"
    definitions.drop_table((database, table))
    definitions.create_table((database, table), Schema(*fields), location=location)


def test_every_request_is_a_call_that_is_known_and_none_was_refused(work: JobWork) -> None:
    assert work.failures == []
    assert {(call.service, call.operation) for call in work.calls if call.refused} == set()
    made = {(call.service, call.operation) for call in work.calls}
    assert made >= {("s3", f"{verb}Object") for verb in ("Get", "Put", "Delete")}
    assert made >= {("glue", f"{verb}Table") for verb in ("Create", "Update", "Delete")}


def test_the_jobs_role_lacks_nothing_that_the_jobs_need(work: JobWork) -> None:
    assert missing(work.policies, work.needed) == []


def test_the_jobs_role_holds_nothing_that_no_job_needs(work: JobWork) -> None:
    assert extra(work.policies, work.needed) == []


def test_a_right_less_and_a_right_more_are_found(work: JobWork) -> None:
    """Without any one grant of the role something is missing; one of another place beside them is extra."""
    [policy] = work.policies
    for number, statement in enumerate(policy["Statement"]):
        for action in listed(statement["Action"]):
            others = [entry for n, entry in enumerate(policy["Statement"]) if n != number]
            less = statement | {"Action": [each for each in listed(statement["Action"]) if each != action]}
            assert missing([{"Statement": [*others, less]}], work.needed), f"{action}: {statement['Resource']}"
    more = {"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::dm-stage-local-000000000000/*"}]}
    assert extra([policy, more], work.needed) == [("s3:GetObject", "arn:aws:s3:::dm-stage-local-000000000000/*")]
