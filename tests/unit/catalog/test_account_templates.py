"""Templates that no laptop deploys: what they call exists, and what they name is there."""

import json

import pytest
import sqlglot
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from sqlglot import exp

from beer import CONTRACTS
from datamaster.aws.cloudformation.rendering import Template
from datamaster.aws.dashboards.objectives import objectives
from datamaster.project import PROJECT

REPLICATION = "arn:aws:dms:us-east-1:000000000000:replication-config:ONE"
KIND = "AWS::KinesisFirehose::DeliveryStream"
TASK = "arn:aws:dms:us-east-1:000000000000:task:ONE"
CLUSTER = "arn:aws:rds:us-east-1:000000000000:cluster:dm-source-dev"
HOURS_LIMIT = 48
"""After which a stopped serverless replication cannot be resumed: https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Serverless.Components.html"""
DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


def hours(**replication):
    given = {"Environment": "dev", "ClusterArn": CLUSTER, **replication}
    return Template(PROJECT / "templates" / "working-hours.yaml", given)


HOURS = {"serverless": hours(ReplicationConfigArn=REPLICATION), "on an instance": hours(ReplicationConfigArn="", ReplicationTaskArn=TASK)}
SCHEDULES = HOURS["serverless"].of_type("AWS::Scheduler::Schedule")
SERVICES = {"cloudwatch": "cloudwatch", "databasemigration": "dms", "rds": "rds"}


def operation(schedule):
    """The SDK's service and operation that a schedule calls: https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html"""
    _, service, action = schedule["Target"]["Arn"].rsplit(":", 2)
    model = ServiceModel(Loader().load_service_model(SERVICES[service], "service-2"))
    return SERVICES[service], next(name for name in model.operation_names if name.lower() == action.lower()), model


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("kind", HOURS)
def test_a_schedule_calls_an_operation_with_the_parameters_it_takes(kind, name):
    schedule = HOURS[kind].of_type("AWS::Scheduler::Schedule")[name]
    _, called, model = operation(schedule)
    given = json.loads(schedule["Target"]["Input"])
    # The scheduler writes an acronym's first letter only in capitals: DbClusterIdentifier for DBClusterIdentifier.
    members = {member.lower(): member for member in model.operation_model(called).input_shape.members}
    named = {members[key.lower()]: value for key, value in given.items()}
    report = ParamValidator().validate(named, model.operation_model(called).input_shape)
    assert not report.has_errors(), report.generate_report()


@pytest.mark.parametrize(("kind", "replication"), [("serverless", REPLICATION), ("on an instance", TASK)])
def test_the_schedules_role_may_call_just_that(kind, replication):
    [policy] = HOURS[kind].policies_of("Role")
    allowed = {action for statement in policy["Statement"] for action in statement["Action"]}
    schedules = HOURS[kind].of_type("AWS::Scheduler::Schedule").values()
    assert allowed == {f"{service}:{called}" for service, called, _ in map(operation, schedules)}
    alarms = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:dm-dev-replication-*"
    assert {statement["Resource"] for statement in policy["Statement"]} == {replication, CLUSTER, alarms}


def test_the_schedules_work_on_the_cluster_that_the_database_makes():
    [cluster] = Template(PROJECT / "templates" / "database.yaml", {"Environment": "dev"}).of_type("AWS::RDS::DBCluster").values()
    stopped = json.loads(SCHEDULES["StopCluster"]["Target"]["Input"])["DbClusterIdentifier"]
    assert stopped == cluster["DBClusterIdentifier"]


def test_the_replication_pauses_before_its_source_and_resumes_after_it():
    assert minute("Starts") < minute("Resumes") < minute("Pauses") < minute("Stops")


def test_no_pause_is_so_long_that_a_replication_could_not_be_resumed():
    paused, resumed = ({day * 24 + minute(name) / 60 for day in days(name)} for name in ("Pauses", "Resumes"))
    pauses = [min(hour % 168 for hour in (back - stop for back in resumed)) for stop in paused]
    assert max(pauses) < HOURS_LIMIT


def minute(name):
    minutes, hours = HOURS["serverless"].parameters[name].removeprefix("cron(").split()[:2]
    return int(hours) * 60 + int(minutes)


def days(name):
    """The days of the week of a schedule, Sunday 0."""
    first, last = HOURS["serverless"].parameters[name].split()[4].split("-")
    return range(DAYS.index(first), DAYS.index(last) + 1)


REPLICATIONS = {
    kind: Template(PROJECT / "templates" / "streaming-dms.yaml", {"Environment": "dev", "InstanceClass": found})
    for kind, found in (("serverless", ""), ("on an instance", "dms.t3.medium"))
}


def test_a_replication_is_serverless_or_a_task_on_a_private_instance_and_never_both():
    made = {
        kind: {t for t in ("ReplicationConfig", "ReplicationInstance", "ReplicationTask") if template.of_type(f"AWS::DMS::{t}")}
        for kind, template in REPLICATIONS.items()
    }
    assert made == {"serverless": {"ReplicationConfig"}, "on an instance": {"ReplicationInstance", "ReplicationTask"}}
    assert [name for name, value in REPLICATIONS["serverless"].outputs().items() if value] == ["ReplicationConfigArn"]
    assert [name for name, value in REPLICATIONS["on an instance"].outputs().items() if value] == ["ReplicationTaskArn"]


def rendered(name, **given):
    return Template(PROJECT / "templates" / f"{name}.yaml", {"Environment": "dev", "LakeKeyArn": "lake", **given})


def logs(template):
    return {log["LogGroupName"] for log in template.of_type("AWS::Logs::LogGroup").values()}


def test_a_log_that_a_service_would_make_for_itself_is_the_stacks_so_that_it_ends_and_goes_with_it():
    """Its name is the service's choice, by the identifier of what it logs."""
    database, rotation, ingestion = rendered("database"), rendered("database-rotation"), rendered("ingestion")
    [cluster] = database.of_type("AWS::RDS::DBCluster").values()
    assert logs(database) == {f"/aws/rds/cluster/{cluster['DBClusterIdentifier']}/{log}" for log in cluster["EnableCloudwatchLogsExports"]}
    [schedule] = rotation.of_type("AWS::SecretsManager::RotationSchedule").values()
    assert logs(rotation) == {f"/aws/lambda/{schedule['HostedRotationLambda']['RotationLambdaName']}"}
    [containers] = ingestion.of_type("AWS::ECS::Cluster").values()
    assert containers["ClusterSettings"] == [{"Name": "containerInsights", "Value": "enabled"}]
    assert f"/aws/ecs/containerinsights/{containers['ClusterName']}/performance" in logs(ingestion)
    [replication] = REPLICATIONS["serverless"].of_type("AWS::DMS::ReplicationConfig").values()
    assert logs(REPLICATIONS["serverless"]) == {f"dms-serverless-replication-{replication['ResourceIdentifier']}"}
    [instance] = REPLICATIONS["on an instance"].of_type("AWS::DMS::ReplicationInstance").values()
    assert logs(REPLICATIONS["on an instance"]) == {f"dms-tasks-{instance['ReplicationInstanceIdentifier']}"}


def test_a_task_does_what_the_serverless_replication_does():
    [replication] = REPLICATIONS["serverless"].of_type("AWS::DMS::ReplicationConfig").values()
    [task] = REPLICATIONS["on an instance"].of_type("AWS::DMS::ReplicationTask").values()
    settings = replication["ReplicationSettings"]
    for threads in ("ParallelLoadThreads", "ParallelApplyThreads"):
        settings["TargetMetadata"][threads] = int(settings["TargetMetadata"][threads])
    assert json.loads(task["ReplicationTaskSettings"]) == settings
    assert json.loads(task["TableMappings"]) == replication["TableMappings"]
    assert task["MigrationType"] == replication["ReplicationType"]
    assert settings["BeforeImageSettings"]["ColumnFilter"] == "pk-only"


def test_no_value_is_cut_or_skipped_in_silence_and_a_load_fits_into_its_capacity():
    """A column takes LobMaxSize x CommitRate: https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Tasks.LOBSupport.html"""
    template = REPLICATIONS["serverless"]
    [replication] = template.of_type("AWS::DMS::ReplicationConfig").values()
    settings = replication["ReplicationSettings"]
    source, target = template.properties("Source"), template.properties("Target")
    column_bytes = int(settings["TargetMetadata"]["LobMaxSize"]) * 1024 * settings["FullLoadSettings"]["CommitRate"]

    assert source["PostgreSqlSettings"]["FailTasksOnLobTruncation"] is True
    assert settings["ErrorBehavior"]["DataErrorPolicy"] == "SUSPEND_TABLE"
    assert target["ExtraConnectionAttributes"] == "useLargeIntegerValue=true"
    assert column_bytes * settings["FullLoadSettings"]["MaxFullLoadSubTasks"] <= 2 * 2**30  # of one capacity unit
    assert template.document["Parameters"]["LobKilobytes"]["MaxValue"] * 2 * 1024 < 2**20  # bytes come in hexadecimal


def test_the_version_that_the_cluster_pins_is_not_raised_behind_it():
    [writer] = Template(PROJECT / "templates" / "database.yaml", {"Environment": "dev"}).of_type("AWS::RDS::DBInstance").values()
    assert writer["AutoMinorVersionUpgrade"] is False


def test_the_rotated_secret_holds_host_and_port_and_is_the_replications():
    database = Template(PROJECT / "templates" / "database.yaml", {"Environment": "dev"})
    [attached] = database.of_type("AWS::SecretsManager::SecretTargetAttachment").values()
    assert attached["TargetType"] == "AWS::RDS::DBCluster"
    outputs = database.document["Outputs"]["ReplicationUserArn"]["Value"]
    assert outputs == {"Ref": "ReplicationUser"}
    config = (PROJECT / "config" / "database-rotation.yaml").read_text()
    assert "ReplicationUserArn: !stack_output database.yaml::ReplicationUserArn" in config


def test_the_firewall_stands_before_the_stage_that_chalice_deploys():
    [stage] = json.loads((PROJECT / "control-api" / ".chalice" / "config.json").read_text())["stages"].values()
    firewall = Template(PROJECT / "templates" / "api-firewall.yaml", {"ApiId": "id"})
    [link] = firewall.of_type("AWS::WAFv2::WebACLAssociation").values()
    assert link["ResourceArn"] == f"arn:aws:apigateway:us-east-1::/restapis/id/stages/{stage['api_gateway_stage']}"


NAMED = Template(PROJECT / "templates" / "named-queries.yaml", {"AnalystsWorkGroup": "analysts"}).of_type("AWS::Athena::NamedQuery")


@pytest.mark.parametrize("name", NAMED)
def test_a_named_query_reads_columns_that_its_gold_table_has(name):
    tree = sqlglot.parse_one(NAMED[name]["QueryString"], read="athena")
    [table] = tree.find_all(exp.Table)
    made = sqlglot.parse_one((CONTRACTS / "derived" / f"{table.name}.sql").read_text(), read="spark")
    assert isinstance(made, exp.Select)
    own = {alias.alias for alias in tree.find_all(exp.Alias)}
    assert {column.name for column in tree.find_all(exp.Column)} - own <= set(made.named_selects)


def test_a_backup_of_the_source_lies_where_refused_records_do_and_under_the_same_key():
    given = {"Environment": "dev", "StageBucket": "stage", "StageKeyArn": "stage-key"}
    streams = {
        kept: next(iter(Template(PROJECT / "templates" / "streaming-delivery.yaml", given | {"SourceBackup": kept}).of_type(KIND).values()))
        for kept in ("true", "false")
    }
    usual, backed = (streams[kept]["ExtendedS3DestinationConfiguration"] for kept in ("false", "true"))
    assert usual["S3BackupMode"] == "Disabled"
    assert "S3BackupConfiguration" not in usual
    backup = backed["S3BackupConfiguration"]
    assert backup["Prefix"].startswith("errors/")
    for name in ("BucketARN", "EncryptionConfiguration"):
        assert backup[name] == backed[name]


def test_the_alarms_that_are_quiet_by_night_are_those_that_a_stopped_replication_sets_off():
    breaching = [objective for objective in objectives() if objective.missing == "breaching"]
    silent = {f"dm-dev-{objective.name}" for objective in breaching if objective.namespace == "AWS/DMS"}
    assert {objective.name for objective in breaching if objective.namespace != "AWS/DMS"} == {"freshness"}  # reported by night too
    for name in ("QuietAlarms", "LoudAlarms"):
        assert set(json.loads(SCHEDULES[name]["Target"]["Input"])["AlarmNames"]) == silent
    assert minute("Resumes") < minute("Watches")


def test_a_call_that_was_refused_does_not_come_through_next_morning():
    assert {schedule["Target"]["RetryPolicy"]["MaximumEventAgeInSeconds"] for schedule in SCHEDULES.values()} == {900}
