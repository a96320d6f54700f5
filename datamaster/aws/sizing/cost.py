"""A month's cost on AWS for a volume of changes, by service, beside alternatives for the same tables."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from datamaster.aws.sizing.capacity import Capacity
from datamaster.aws.sizing.figures import MEASURED, UNVERIFIED, Measured, figures
from datamaster.aws.sizing.scale import GIGABYTE, ChangeRate, Files

HOURS = 730
SECONDS = HOURS * 3600
DATABASE = "Aurora"
"""The service that an environment has only for a source of its own."""
SIZES = {"1 GB": GIGABYTE, "100 GB": 100 * GIGABYTE, "5 TB": 5_000 * GIGABYTE}
"""Bytes of changes on the stream in a month."""
STORAGE_INCLUDED = 50
"""GB in the price of a burstable instance of DMS: https://aws.amazon.com/dms/pricing/"""
PUT_UNIT = 25 * 1024
"""A provisioned stream bills incoming records in units of this many bytes: https://aws.amazon.com/kinesis/data-streams/pricing/"""
KINESIS_STEP = 1024
"""Kinesis bills incoming records in steps of this many bytes: https://aws.amazon.com/kinesis/data-streams/pricing/"""
FIREHOSE_STEP = 5 * 1024
"""Firehose bills records from a stream in steps of this many bytes: https://aws.amazon.com/firehose/pricing/"""
MINUTE = 60
GLUE_DPU, DPU_CORES = 2, 4
"""The fewest workers of a Glue job. Each has four cores and 16 GB: https://docs.aws.amazon.com/glue/latest/dg/add-job.html"""
ALL_DAY = 24


@dataclass(frozen=True)
class Cost:
    """One service's month in dollars. ``of`` explains the amount. ``prices`` names the prices in it."""

    service: str
    dollars: float
    of: str
    prices: tuple[str, ...]

    @property
    def verified(self) -> bool:
        """Whether each of its prices has a page and a date."""
        return all(figures("prices")[name].stated != UNVERIFIED for name in self.prices)


def month(bytes_a_month: float, road: Capacity, measured: Measured = MEASURED) -> list[Cost]:
    """The cost of every service, in the order of a change's way through them."""
    changes = bytes_a_month / measured.message_bytes
    load = ChangeRate("", changes / SECONDS)
    files = Files.of(load, road, measured)
    return [
        *_source(road),
        *_stream(changes, bytes_a_month, road, measured),
        *_delivery(changes, bytes_a_month, files, road, measured),
        *_conversion(changes, files, road, measured),
        _spark("EMR Serverless", changes, road, measured),
        _storage(changes, files, measured),
        _athena(changes, measured),
        *_standing(road),
    ]


def alternatives(bytes_a_month: float, road: Capacity, measured: Measured = MEASURED) -> dict[str, list[Cost]]:
    """Alternative pipelines for the same silver tables, each with all its services.

    None of them masks personal data, quarantines rows or checks that a load is complete. Those features would cost extra.
    """
    changes = bytes_a_month / measured.message_bytes
    ours = month(bytes_a_month, road, measured)
    return {
        "this road": ours,
        "Glue ETL instead of EMR Serverless": [*_without(ours, "EMR Serverless"), _glue(changes, road, measured)],
        "Firehose to Iceberg instead of converter and MERGE": [
            *_without(ours, "EMR Serverless", "Lambda, conversion", "Fargate", "Firehose", "DynamoDB", "Step Functions", "SQS"),
            _firehose_iceberg(changes),
        ],
        "DMS to S3 as Parquet instead of stream and converter": _without(
            ours, "Kinesis", "Firehose", "Lambda, transform", "Lambda, conversion", "Fargate"
        ),
    }


def total(costs: Iterable[Cost]) -> float:
    """Dollars a month."""
    return sum(cost.dollars for cost in costs)


def _cost(service: str, of: str, **amounts: float) -> Cost:
    """A cost from amounts by the name of their price. Names have ``_`` in place of ``-``."""
    names = {name.replace("_", "-"): amount for name, amount in amounts.items()}
    return Cost(service, sum(figures("prices")[name].value * amount for name, amount in names.items()), of, tuple(names))


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" + "s" * (number != 1)


def _in_steps(size: int, step: int) -> int:
    """The billed bytes of a record."""
    return -(-size // step) * step


def _source(road: Capacity) -> list[Cost]:
    capacity, replication = road.database_capacity, road.replication_capacity
    aurora = _cost(DATABASE, f"{capacity:g} ACU all month, 20 GB", aurora_capacity=capacity * HOURS, aurora_storage=20)
    if not road.replication_class:
        return [aurora, _cost("DMS Serverless", f"{replication:g} DCU all month", dms_capacity=replication * HOURS)]
    storage = max(0, road.replication_storage - STORAGE_INCLUDED)
    price = "dms_" + road.replication_class.removeprefix("dms.").replace(".", "_")
    of = f"one {road.replication_class} all month, {road.replication_storage} GB"
    return [aurora, _cost("DMS on an instance", of, **{price: HOURS}, dms_storage=storage)]


def _stream(changes: float, size: float, road: Capacity, measured: Measured) -> list[Cost]:
    gigabytes = size / GIGABYTE
    kept = gigabytes * max(0, road.retention_hours - ALL_DAY) / HOURS
    calls = size / 1_000_000 / road.transform_megabytes
    seconds = changes / measured.transformed
    counted = _in_steps(measured.message_bytes, KINESIS_STEP)
    kept_for = f"kept {road.retention_hours} hours"
    on_demand = _cost(
        "Kinesis",
        f"on demand, each change counted as {counted // 1024} KB, read once, {kept_for}",
        kinesis_stream=HOURS,
        kinesis_in=changes * counted / GIGABYTE,
        kinesis_out=gigabytes,
        kinesis_retention=kept,
    )
    shards = max(road.shards, math.ceil(changes / SECONDS / figures("quotas")["kinesis-shard-records"].value))
    provisioned = _cost(
        "Kinesis",
        f"{_counted(shards, 'shard')} all month, read once, {kept_for}",
        kinesis_shard=shards * HOURS,
        kinesis_put=changes * math.ceil(measured.message_bytes / PUT_UNIT),
        kinesis_provisioned_retention=kept,
    )
    return [
        provisioned if road.shards else on_demand,
        _cost(
            "Lambda, transform",
            f"{road.transform_memory} MB, a call for each {road.transform_megabytes} MB",
            lambda_request=calls,
            lambda_memory=seconds * road.transform_memory / 1024,
        ),
    ]


def _delivery(changes: float, size: float, files: Files, road: Capacity, measured: Measured) -> list[Cost]:
    counted = _in_steps(measured.message_bytes, FIREHOSE_STEP)
    objects = min(changes, files.a_second * SECONDS)
    return [
        _cost(
            "Firehose",
            f"each change counted as {counted // 1024} KB; an object a table and {road.buffer_seconds} s or {road.buffer_megabytes} MB",
            firehose_in=changes * counted / GIGABYTE,
            firehose_partitioned=size / GIGABYTE,
            firehose_object=objects,
        ),
        _cost("SQS", "three requests an object, and polling", sqs_request=3 * objects + SECONDS / 20 * 5),
    ]


def _conversion(changes: float, files: Files, road: Capacity, measured: Measured) -> list[Cost]:
    objects = min(changes, files.a_second * SECONDS)
    seconds = changes / measured.converted + objects * measured.file_seconds
    writes = objects * measured.writes_a_file * measured.write_units * (1 + measured.indexes)
    swept = objects * measured.kept_days * ALL_DAY / HOURS * SECONDS / road.sweep_seconds
    transitions = objects * measured.transitions_a_file + _jobs(changes, road, measured) * measured.transitions_a_job
    costs = [
        _cost("DynamoDB", "the files' records and their indexes, and the sweep", dynamodb_write=writes, dynamodb_read=writes + swept),
        _cost("Step Functions", "an execution a file, and the runs", states_transition=transitions),
    ]
    if files.by_lambda:
        return [
            *costs,
            _cost(
                "Lambda, conversion",
                f"{road.convert_memory} MB",
                lambda_request=objects,
                lambda_memory=seconds * road.convert_memory / 1024,
            ),
        ]
    hours = (changes / measured.converted / road.container_cpu + objects * 60) / 3600
    return [
        *costs,
        _cost(
            "Fargate",
            f"{road.container_cpu:g} vCPU, {road.container_memory:g} GB, a minute of start each",
            fargate_cpu=hours * road.container_cpu,
            fargate_memory=hours * road.container_memory,
        ),
    ]


def _jobs(changes: float, road: Capacity, measured: Measured) -> float:
    """Spark jobs in a month.

    They are one for each changed table and run, one for each table derived from it, gold's runs, and nightly maintenance.
    """
    runs = _runs(changes, road)
    silver = runs * (min(measured.tables, changes / runs) + measured.derived)
    return silver + min(HOURS / ALL_DAY * road.gold_runs, changes) * measured.gold_tables + HOURS / ALL_DAY * measured.maintained


def _runs(changes: float, road: Capacity) -> float:
    return min(SECONDS / road.silver_seconds, changes)


def _core_seconds(runs: float, changes: float, measured: Measured) -> float:
    """The core-seconds to merge the changes and to rewrite the other rows of their partitions."""
    return changes / measured.merged + runs * measured.rewritten / measured.written


def _spark(service: str, changes: float, road: Capacity, measured: Measured) -> Cost:
    """Each worker is billed for at least a minute: https://aws.amazon.com/emr/pricing/"""
    jobs = _jobs(changes, road, measured)
    beginning = jobs * measured.first_workers * max(MINUTE, measured.job_seconds)
    hours = (beginning + _core_seconds(_runs(changes, road), changes, measured) / measured.worker_cores) / 3600
    workers = f"{measured.first_workers} workers of {measured.worker_cores} vCPU and {measured.worker_memory} GB to begin with"
    what = f"{jobs:,.0f} jobs, {workers}, a minute at least"
    return _cost(service, what, emr_cpu=hours * measured.worker_cores, emr_memory=hours * measured.worker_memory)


def _glue(changes: float, road: Capacity, measured: Measured) -> Cost:
    jobs, runs = _jobs(changes, road, measured), _runs(changes, road)
    hours = (jobs * measured.job_seconds * GLUE_DPU + _core_seconds(runs, changes, measured) / DPU_CORES) / 3600
    return _cost("Glue ETL", f"{jobs:,.0f} jobs of {GLUE_DPU} DPU", glue_dpu=hours)


def _firehose_iceberg(changes: float) -> Cost:
    return _cost("Firehose to Iceberg", "each change counted as 5 KB", firehose_iceberg=changes * FIREHOSE_STEP / GIGABYTE)


def _storage(changes: float, files: Files, measured: Measured) -> Cost:
    objects = min(changes, files.a_second * SECONDS)
    raw = changes * measured.raw_bytes / GIGABYTE * 7 / 30
    lake = changes * measured.bronze_bytes * 2 / GIGABYTE
    return _cost("S3", "raw a week, bronze and silver a month", s3_storage=raw + lake, s3_write=objects * 3, s3_read=objects * 6)


def _athena(changes: float, measured: Measured) -> Cost:
    scanned = changes * measured.bronze_bytes / GIGABYTE * 30
    return _cost("Athena", "the month's rows read once a day", athena_scanned=scanned)


def _standing(road: Capacity) -> list[Cost]:
    gateways = {"nat": HOURS} if road.nat else {}
    doors = f"{road.endpoints} endpoints in {_counted(road.endpoint_zones, 'zone')}" + (", a NAT gateway" if road.nat else "")
    network = _cost("Network", doors, endpoint=road.endpoints * road.endpoint_zones * HOURS, **gateways)
    what = f"{road.keys} keys, {road.secrets} secrets, 5 GB of logs, {MEASURED.metrics} metrics"
    watched = _cost("Keys, secrets, logs, metrics", what, kms_key=road.keys, secret=road.secrets, logs_in=5, metric=MEASURED.metrics)
    return [network, watched]


def _without(costs: Iterable[Cost], *services: str) -> list[Cost]:
    return [cost for cost in costs if cost.service not in services]
