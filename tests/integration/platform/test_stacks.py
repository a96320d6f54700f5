"""Every stack of the laptop, from the very files: deployed, changed in place, deleted; and what is never deployed there, and why."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

import boto3
import orjson
import pytest
from ministack.services.cloudformation import provisioners

from beer import CONTRACTS
from datamaster.aws.cloudformation.reading import read_template
from datamaster.aws.deploy import Watch, deploy
from datamaster.aws.deploy.change_sets import launch
from datamaster.aws.deploy.deployment import Deployment, artifacts_of, plan, spark_variables
from datamaster.aws.deploy.environments import load_environment
from datamaster.aws.deploy.package import digest, write_zip
from datamaster.aws.deploy.removal import delete_data, destroy, left_behind, removal
from datamaster.aws.deploy.stacks import StackFailed, deployed
from datamaster.aws.deploy.watch import StackChanges
from datamaster.project import PROJECT
from lake.contract import ContractSet

pytestmark = pytest.mark.integration
ACTIVITIES = ("dm-run-task-local", "dm-start-job-run-local")

LIMIT = {"convert_lambda_limit": 5}

# The laptop has no use for these, but the emulator knows their types (test_account_stacks.py deploys them).
ACCOUNT_ONLY = ("network", "database", "layers", "working-hours", "dms-account-roles", "api-account-role")
# The emulator has the type but pushes inside PutRecords and neither buffers nor compresses: a worker reads its properties instead.
WORKER_INSTEAD = {"AWS::KinesisFirehose::DeliveryStream"}


@pytest.fixture(scope="module")
def deployment(emulator: object, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    states = boto3.client("stepfunctions")
    for name in ACTIVITIES:
        states.create_activity(name=name)
    return deploy("local", build=tmp_path_factory.mktemp("build"))


def statuses() -> dict[str, str]:
    stacks = boto3.client("cloudformation").describe_stacks()["Stacks"]
    return {stack["StackName"]: stack["StackStatus"] for stack in stacks}


def test_every_stack_of_the_laptop_is_deployed_from_its_file(deployment: Deployment):
    expected = {f"dm-local-{name}" for level in plan("local") for name in level}

    assert statuses() == dict.fromkeys(expected, "CREATE_COMPLETE")


def test_functions_mappings_and_state_machines_are_named_as_the_settings_say(deployment: Deployment):
    functions = {function["FunctionName"] for function in boto3.client("lambda").list_functions()["Functions"]}
    machines = {machine["name"] for machine in boto3.client("stepfunctions").list_state_machines()["stateMachines"]}

    assert "dm-ingest-router-local-register_files" in functions
    assert "dm-converter-local-convert_file" in functions
    assert "dm-control-api-local-plan_silver" in functions
    assert machines == {"dm-convert-file-local", "dm-bronze-to-silver-local", "dm-silver-to-gold-local", "dm-maintenance-local"}


def test_a_state_machine_runs_its_long_tasks_through_the_activities(deployment: Deployment):
    states = boto3.client("stepfunctions")
    arn = deployment.outputs["ingestion"]["ConvertStateMachineArn"]

    definition = orjson.loads(states.describe_state_machine(stateMachineArn=arn)["definition"])

    assert definition["States"]["ConvertInContainer"]["Resource"].endswith(":activity:dm-run-task-local")
    assert "${" not in states.describe_state_machine(stateMachineArn=arn)["definition"]


def test_a_second_deployment_changes_nothing(deployment: Deployment, tmp_path: Path):
    again = deploy("local", build=tmp_path)

    assert again == deployment
    assert set(statuses().values()) == {"CREATE_COMPLETE"}


class Recorder:
    """Agrees to every change and remembers it: the types of the resources by stack."""

    def __init__(self) -> None:
        self.proposed: dict[str, set[str]] = {}

    def __call__(self, proposed: Sequence[StackChanges]) -> bool:
        self.proposed |= {changes.name: {change.kind for change in changes.changes} for changes in proposed}
        return True


def test_a_new_table_and_a_changed_schema_propose_no_change_to_any_stack(deployment: Deployment, tmp_path: Path):
    contracts, recorder = tmp_path / "contracts", Recorder()
    shutil.copytree(CONTRACTS, contracts)
    pub = (CONTRACTS / "brewery.yaml").read_text().replace("dm_core.brewery", "dm_core.pub").replace("name: brewery\n", "name: pub\n")
    (contracts / "pub.yaml").write_text(pub)
    beer = (CONTRACTS / "beer.yaml").read_text()
    style = "      - name: beer_style\n        logicalType: string\n        physicalType: varchar(100)\n        classification: public\n"
    (contracts / "beer.yaml").write_text(beer.replace(style, style + style.replace("beer_style", "beer_colour")))

    changed = deploy("local", contracts=contracts, build=tmp_path / "build", watch=Watch(recorder))

    assert "beer_colour" in [column.name for column in ContractSet.from_directory(contracts).tables["beer"].columns]
    assert changed.contracts_version not in ("", deployment.contracts_version)
    assert recorder.proposed == {}


def test_a_changed_variable_updates_its_stack_in_place_and_no_other(deployment: Deployment, tmp_path: Path):
    deploy("local", build=tmp_path, variables=LIMIT)

    function = boto3.client("lambda").get_function_configuration(FunctionName="dm-ingest-router-local-register_files")
    assert function["Environment"]["Variables"]["CONVERT_LAMBDA_LIMIT"] == "5"
    updated = {name for name, status in statuses().items() if status == "UPDATE_COMPLETE"}
    assert updated == {"dm-local-ingest-router"}


def test_a_changed_function_proposes_a_change_to_its_own_stack_alone(deployment: Deployment, tmp_path: Path):
    environment, recorder = load_environment("local").with_variables(LIMIT), Recorder()
    artifacts = artifacts_of(environment, tmp_path)
    before = artifacts.variables["functions"]["converter"]["key"]
    code = tmp_path / "converter.zip"
    with zipfile.ZipFile(io.BytesIO(artifacts.objects[before])) as source:
        files = {name: source.read(name) for name in source.namelist()}
    write_zip(code, files | {"app.py": files["app.py"] + b"# another line\n"})
    key = f"functions/converter/{digest(code.read_bytes())}.zip"
    bucket = deployment.outputs["storage"]
    boto3.client("s3").upload_file(str(code), bucket["ArtifactsBucket"], key)
    functions = artifacts.variables["functions"] | {"converter": artifacts.variables["functions"]["converter"] | {"key": key}}

    changed = artifacts.variables | spark_variables(artifacts, bucket, load_environment("local")) | {"functions": functions}
    launch(environment.with_variables(changed), watch=Watch(recorder))

    assert recorder.proposed == {"converter": {"AWS::Lambda::Function"}}


def test_every_stack_is_updated_in_place(deployment: Deployment, tmp_path: Path):
    recorder = Recorder()

    again = deploy("local", build=tmp_path, variables={"owner": "someone-else"}, watch=Watch(recorder))

    everything = {name for level in plan("local") for name in level}
    assert {name for name, status in statuses().items() if status != "UPDATE_COMPLETE"} == set()
    assert recorder.proposed.keys() == everything
    assert again.outputs == deployment.outputs


def test_removing_everything_leaves_nothing_behind(deployment: Deployment):
    local = load_environment("local")

    destroy(local, removal(local, delete_data=True))
    removed = delete_data(local)

    assert {kept.kind for kept in removed} == {"AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::S3::Bucket", "AWS::SecretsManager::Secret"}
    assert deployed(local) == {}
    assert left_behind(local) == []
    assert still_there() == {}


def still_there() -> dict[str, list[object]]:
    """What every service that the stacks use still knows of, keys that wait for their deletion apart."""
    kms = boto3.client("kms")
    keys = [kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in kms.list_keys()["Keys"]]
    found: dict[str, list[object]] = {
        "keys": [key["KeyId"] for key in keys if key["KeyState"] != "PendingDeletion"],
        "buckets": boto3.client("s3").list_buckets()["Buckets"],
        "tables": boto3.client("dynamodb").list_tables()["TableNames"],
        "streams": boto3.client("kinesis").list_streams()["StreamNames"],
        "queues": boto3.client("sqs").list_queues().get("QueueUrls", []),
        "functions": boto3.client("lambda").list_functions()["Functions"],
        "mappings": boto3.client("lambda").list_event_source_mappings()["EventSourceMappings"],
        "machines": boto3.client("stepfunctions").list_state_machines()["stateMachines"],
        "schedules": boto3.client("scheduler").list_schedules()["Schedules"],
        "rules": boto3.client("events").list_rules()["Rules"],
        "databases": boto3.client("glue").get_databases()["DatabaseList"],
        "apis": boto3.client("apigateway").get_rest_apis()["items"],
        "secrets": boto3.client("secretsmanager").list_secrets()["SecretList"],
        "roles": [role for role in boto3.client("iam").list_roles()["Roles"] if role["RoleName"].startswith("dm-")],
        "users": boto3.client("iam").list_users()["Users"],
        "alarms": boto3.client("cloudwatch").describe_alarms()["MetricAlarms"],
        "repositories": boto3.client("ecr").describe_repositories()["repositories"],
        "work groups": [g["Name"] for g in boto3.client("athena").list_work_groups()["WorkGroups"] if g["Name"].startswith("dm")],
    }
    return {name: things for name, things in found.items() if things}


def test_a_stack_that_cannot_be_made_is_named_with_cloudformations_reason(emulator: object):
    taken = load_environment("local").with_variables({"environment": "dev", "region": "us-east-1", "shards": "many"})

    with pytest.raises(StackFailed, match="dm-dev-streaming"):
        launch(taken, ["streaming"])


def test_what_is_never_deployed_holds_a_type_that_the_emulator_lacks():
    known = provisioners._RESOURCE_HANDLERS
    deployed = {name for level in plan("local") for name in level} | set(ACCOUNT_ONLY)
    templates = {path.stem for path in (PROJECT / "templates").glob("*.yaml") if ".merge" not in path.name}

    assert len(templates - deployed) > 3
    for name in sorted(templates - deployed):
        template = read_template((PROJECT / "templates" / f"{name}.yaml").read_text())
        types = {resource["Type"] for resource in template["Resources"].values()}
        assert types - known.keys() or types & WORKER_INSTEAD, f"{name}: the emulator knows all of {sorted(types)}"
