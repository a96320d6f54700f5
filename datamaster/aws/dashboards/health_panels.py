"""The health dashboard: the stages as a row, then files, tables and objectives, then each service."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.common import GraphThresholdsStyleConfig, GraphTresholdsStyleMode
from grafana_foundation_sdk.models.dashboard import VariableHide
from grafana_foundation_sdk.models.timeseries import FieldConfig

from datamaster.aws.dashboards.objectives import Objective, objectives
from datamaster.aws.dashboards.panels import GREEN, RED, YELLOW, Board, Json, Target, chosen, metric, panel, thresholds

UID = "dm-health"
OURS = "DataMaster"
MACHINES = ("convert-file", "bronze-to-silver", "silver-to-gold", "maintenance")
QUEUES = ("arrivals", "arrivals-dead", "ingest-router-dead", "converter-dead", "control-api-dead")
STREAM = {"StreamName": "dm-changes-$environment"}
DELIVERY = {"DeliveryStreamName": "dm-delivery-$environment"}
REPLICATION = {"ReplicationConfigId": "$account:dm-$environment"}
JOBS = {"ApplicationId": "*", "ApplicationName": "dm-$environment"}
CONTROL = {"service": "control-api"}
ROUTER = {"service": "ingest-router"}
CONVERTER = {"service": "converter"}
SHOWN_ENVIRONMENT = "prod"


def limits_of(name: str) -> ThresholdsConfig:
    """An objective's threshold in production as colours: red beyond it, yellow from its half on."""
    [objective] = [known for known in objectives() if known.name == name]
    return limits(objective)


def limits(objective: Objective) -> ThresholdsConfig:
    """Colours of an objective."""
    value = objective.threshold[SHOWN_ENVIRONMENT]
    if objective.below:
        return thresholds((RED, None), (GREEN, value))
    # Grafana colours from a step's value on. An alarm starts beyond it.
    beyond = value + 1 if objective.unit not in ("percent",) else value
    middle = ((YELLOW, value / 2),) if value > 1 else ()
    return thresholds((GREEN, None), *middle, (RED, beyond))


def health() -> Json:
    """The dashboard's JSON."""
    variables = [
        chosen("environment", "Environment", ("local", "lean", "dev", "staging", "prod")),
        chosen("region", "Region", ("us-east-1",)),
        chosen("account", "Account", ("000000000000",), VariableHide.HIDE_VARIABLE),
    ]
    about = "The road from the source to gold, and every service under it. Thresholds are those of dashboards/objectives.yaml."
    board = Board(UID, "Data Master: health", about, variables, since="now-3h", refresh="1m")
    _road(board)
    _objectives(board)
    _files(board)
    _services(board)
    return board.json()


def _road(board: Board) -> None:
    stages: tuple[tuple[str, Target], ...] = (
        ("Source: changes", metric("AWS/DMS", "CDCIncomingChanges", REPLICATION)),
        ("Stream: records read", metric("AWS/Kinesis", "GetRecords.Records", STREAM)),
        ("Router: lines", metric(OURS, "transform_lines", ROUTER)),
        ("Delivery: records", metric("AWS/Firehose", "DeliveryToS3.Records", DELIVERY)),
        ("Bronze: rows", metric(OURS, "RecordsConverted", CONVERTER | {"table": "*"})),
        ("Silver: keys merged", metric(OURS, "RowsMerged", CONTROL | {"table": "*"})),
    )
    board.row("The road: rate")
    for title, target in stages:
        board.add(4, 4, panel("stat", title, [target]))
    board.row("The road: lag")
    board.add(4, 4, panel("stat", "Source: read", [metric("AWS/DMS", "CDCLatencySource", REPLICATION, "Maximum")], unit="s"))
    age = metric("AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", STREAM, "Maximum")
    board.add(4, 4, panel("stat", "Stream: oldest record", [age], unit="ms", limits=limits_of("stream-lag")))
    board.add(
        4, 4, panel("stat", "Router: time of a batch", [_function("ingest-router", "transform_records", "Duration", "Average")], unit="ms")
    )
    board.add(
        4, 4, panel("stat", "Delivery: oldest row", [metric("AWS/Firehose", "DeliveryToS3.DataFreshness", DELIVERY, "Maximum")], unit="s")
    )
    seconds = metric(OURS, "ConversionSeconds", CONVERTER | {"compute_target": "*"}, "Average")
    board.add(4, 4, panel("stat", "Bronze: time of a file", [seconds], unit="s"))
    stalest = metric(OURS, "StalestSeconds", CONTROL, "Maximum")
    board.add(4, 4, panel("stat", "Silver and gold: oldest wait", [stalest], unit="s", limits=limits_of("freshness")))
    board.row("The road: backlog")
    board.add(4, 4, panel("stat", "Announced files", [_queue("arrivals")]))
    for title, status in (("Files pending", "pending"), ("Files in conversion", "running"), ("Files for silver", "bronze")):
        board.add(4, 4, panel("stat", title, [_status(status)]))
    board.add(8, 4, panel("stat", "Months to rebuild", [metric(OURS, "PendingMonths", CONTROL | {"table": "*"}, "Maximum")]))
    board.row("The road: errors")
    refused = metric(OURS, "transform_failed", ROUTER)
    board.add(4, 4, panel("stat", "Records not understood", [refused], limits=limits_of("refused-records")))
    board.add(4, 4, panel("stat", "Rows in quarantine", [metric(OURS, "RecordsRejected", CONVERTER | {"table": "*"})]))
    board.add(4, 4, panel("stat", "Files failed", [_status("failed")], limits=thresholds((GREEN, None), (RED, 1))))
    share = metric(OURS, "FailedFilesPercent", CONTROL, "Maximum")
    board.add(4, 4, panel("stat", "Share of failed files, 24 h", [share], unit="percent", limits=limits_of("failed-files")).decimals(2))
    broken = metric(OURS, "BrokenBatches", CONTROL, "Maximum")
    board.add(4, 4, panel("stat", "Batches with an error", [broken], limits=limits_of("broken-batches")))
    dead = [_queue(name) for name in QUEUES if name.endswith("dead")]
    board.add(4, 4, panel("stat", "Dead letters", dead, limits=limits_of("dead-letters-arrivals")))


def _objectives(board: Board) -> None:
    board.row("Objectives")
    for objective in objectives():
        dimensions = {
            name: value.replace("${Environment}", "$environment").replace("${AWS::AccountId}", "$account")
            for name, value in objective.dimensions.items()
        }
        target = metric(objective.namespace, objective.metric, dimensions, objective.statistic)
        drawn = FieldConfig(thresholds_style=GraphThresholdsStyleConfig(GraphTresholdsStyleMode.LINE), fill_opacity=10)
        board.add(
            8, 6, panel("timeseries", objective.name, [target], description=objective.promise, limits=limits(objective), custom=drawn)
        )


def _files(board: Board) -> None:
    board.row("Files and tables")
    statuses = [_status(status) for status in ("pending", "running", "bronze", "silver", "failed")]
    board.add(8, 8, panel("bargauge", "Control table: files by status", statuses))
    waiting = metric(OURS, "WaitingSeconds", CONTROL | {"table": "*"}, "Maximum")
    board.add(8, 8, panel("bargauge", "Tables: age of what silver lacks", [waiting], unit="s", limits=limits_of("freshness")))
    settled = metric(OURS, "SettledSecondsAgo", CONTROL | {"table": "*"}, "Minimum")
    board.add(8, 8, panel("bargauge", "Tables: time since they were last settled", [settled], unit="s"))


def _services(board: Board) -> None:
    drawn = FieldConfig(fill_opacity=10)
    named = {"FunctionName": "*"}
    board.row("Lambda")
    for title, name, statistic, unit in (
        ("Invocations", "Invocations", "Sum", "short"),
        ("Errors", "Errors", "Sum", "short"),
        ("Duration", "Duration", "Average", "ms"),
        ("Throttles", "Throttles", "Sum", "short"),
    ):
        board.add(6, 8, panel("timeseries", f"Lambda: {title}", [metric("AWS/Lambda", name, named, statistic)], unit=unit, custom=drawn))
    board.row("Step Functions")
    for name in ("Started", "Succeeded", "Failed"):
        targets = [_machine(machine, f"Executions{name}") for machine in MACHINES]
        board.add(6, 8, panel("timeseries", f"Step Functions: executions {name.lower()}", targets, custom=drawn))
    times = [_machine(machine, "ExecutionTime", "Average") for machine in MACHINES]
    board.add(6, 8, panel("timeseries", "Step Functions: time of an execution", times, unit="ms", custom=drawn))
    board.row("EMR Serverless and Fargate")
    board.add(6, 8, panel("timeseries", "EMR: jobs succeeded", [metric("AWS/EMRServerless", "SuccessJobs", JOBS)], custom=drawn))
    board.add(6, 8, panel("timeseries", "EMR: jobs failed", [metric("AWS/EMRServerless", "FailedJobs", JOBS)], custom=drawn))
    running = metric("ECS/ContainerInsights", "TaskCount", {"ClusterName": "dm-converter-$environment"}, "Maximum")
    board.add(6, 8, panel("timeseries", "Fargate: tasks that run", [running], custom=drawn))
    files = metric(OURS, "ConversionSeconds", CONVERTER | {"compute_target": "*"}, "SampleCount")
    board.add(6, 8, panel("timeseries", "Files converted by Lambda and by Fargate", [files], custom=drawn))
    board.row("DMS, Kinesis, Firehose, SQS")
    loaded = metric("AWS/DMS", "FullLoadThroughputRowsTarget", REPLICATION, "Average")
    board.add(6, 8, panel("timeseries", "DMS: rows loaded a second", [loaded], custom=drawn))
    latency = metric("AWS/DMS", "CDCLatencySource", REPLICATION, "Maximum")
    board.add(6, 8, panel("timeseries", "DMS: seconds behind the source", [latency], unit="s", custom=drawn))
    records = [
        metric("AWS/Kinesis", "GetRecords.Records", STREAM),
        metric("AWS/Firehose", "DataReadFromKinesisStream.Records", DELIVERY),
    ]
    board.add(6, 8, panel("timeseries", "Kinesis and Firehose: records read", records, custom=drawn))
    visible = [_queue(name) for name in QUEUES]
    board.add(6, 8, panel("timeseries", "SQS: messages that wait", visible, custom=drawn))


def _function(app: str, function: str, name: str, statistic: str = "Sum") -> Target:
    return metric("AWS/Lambda", name, {"FunctionName": f"dm-{app}-$environment-{function}"}, statistic)


def _queue(name: str) -> Target:
    return metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": f"dm-{name}-$environment"}, "Maximum", label=name)


def _status(status: str) -> Target:
    return metric(OURS, "FilesByStatus", CONTROL | {"status": status}, "Maximum", label=status)


def _machine(machine: str, name: str, statistic: str = "Sum") -> Target:
    arn = f"arn:aws:states:$region:$account:stateMachine:dm-{machine}-$environment"
    return metric("AWS/States", name, {"StateMachineArn": arn}, statistic, label=machine)
