"""Compare each service's demand at a rate of changes with its limit, and find the first limit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from datamaster.aws.sizing.capacity import Capacity
from datamaster.aws.sizing.figures import MEASURED, Measured, figures

GIGABYTE = 1_000_000_000
DAY = 86_400


@dataclass(frozen=True)
class ChangeRate:
    """Changes a second, all day. ``name`` is for pages."""

    name: str
    changes: float

    @classmethod
    def of_bytes(cls, name: str, bytes_a_day: float, measured: Measured = MEASURED) -> ChangeRate:
        """The load whose messages make this many bytes a day."""
        return cls(name, bytes_a_day / DAY / measured.message_bytes)


LOADS = (
    ChangeRate("10/s", 10),
    ChangeRate("1,000/s", 1_000),
    ChangeRate("100,000/s", 100_000),
    ChangeRate.of_bytes("1 GB/day", GIGABYTE),
    ChangeRate.of_bytes("1 TB/day", 1_000 * GIGABYTE),
)


@dataclass(frozen=True)
class ServiceDemand:
    """One service at one load.

    ``demand`` and ``limit`` are in ``unit``. ``binds`` is false if the limit grows by itself, or if the load does not change the demand.
    """

    service: str
    unit: str
    demand: float
    limit: float
    stated: str
    remedy: str
    binds: bool = True

    @property
    def share(self) -> float:
        """The share of the limit that the load takes. Above 1 it does not fit."""
        return self.demand / self.limit


@dataclass(frozen=True)
class Files:
    """Firehose's raw files of a load: files a second, lines in each, and whether a Lambda converts them."""

    a_second: float
    lines: float
    by_lambda: bool

    @classmethod
    def of(cls, load: ChangeRate, road: Capacity, measured: Measured) -> Files:
        """The files of a load. A table's buffer closes by time or by size, whichever comes first."""
        a_table = load.changes / measured.tables
        by_size = a_table * measured.message_bytes / (road.buffer_megabytes * 1_000_000)
        each = max(min(1 / road.buffer_seconds, a_table), by_size)
        lines = a_table / each if each else 0.0
        return cls(each * measured.tables, lines, lines <= road.lambda_limit)


def walk(load: ChangeRate, road: Capacity, measured: Measured = MEASURED) -> list[ServiceDemand]:
    """Every service's step at a load, in the order of a change's way through them."""
    quotas, files = figures("quotas"), Files.of(load, road, measured)
    megabytes = load.changes * measured.message_bytes / 1_000_000
    transforming = load.changes / measured.transformed
    converting = files.a_second * (files.lines / measured.converted + measured.file_seconds)
    writes = files.a_second * measured.writes_a_file * measured.write_units
    work = load.changes * road.silver_seconds / measured.merged + measured.rewritten / measured.written
    cores = work / max(1.0, road.silver_seconds - measured.job_seconds)
    running = measured.job_seconds + work / road.job_cpu
    answer = road.transform_megabytes * measured.line_bytes / measured.message_bytes * 4 / 3
    per_table = files.a_second / measured.tables * road.silver_seconds

    def step(service: str, demand: float, quota: str, remedy: str, times: int = 1, binds: bool = True) -> ServiceDemand:
        figure = quotas[quota]
        return ServiceDemand(service, figure.unit.removesuffix(" a thread"), demand, figure.value * times, figure.stated, remedy, binds)

    steps = [
        step("DMS, sending", load.changes, "dms-thread", "raise ApplyThreads; several replications", road.apply_threads),
    ]
    shards = load.changes / quotas["kinesis-shard-records"].value
    if road.shards:
        steps.append(_own("Kinesis, shards", "shards", max(shards, megabytes), road.shards, "shards"))
    else:
        new = "grows by itself; provision shards for a first load"
        steps += [
            step("Kinesis, a new stream", megabytes, "kinesis-new-stream", new, binds=False),
            step("Kinesis, a grown stream", megabytes, "kinesis-stream", "a second stream and replication for some of the tables"),
            step("Kinesis, shards", shards, "kinesis-shards", "ask for more; several changes a record"),
        ]
    steps += [
        step("Firehose, partitions", float(measured.tables), "firehose-partitions", "ask for 5,000; a second delivery stream beyond"),
        step("transform_records, at once", transforming, "lambda-account", "ask for more; nothing is reserved, so nothing else limits it"),
        step("Lambda, an answer of transform_records", answer, "lambda-payload", "a smaller BufferSizeInMBs", binds=False),
        step("S3, raw objects", files.a_second / measured.tables, "s3-prefix-writes", "a longer prefix; larger buffers"),
        _own("register_files, at once", "executions", files.a_second * 0.2 / 10, road.register_at_once, "Arrivals.Concurrency"),
        step("DynamoDB, control table", writes, "dynamodb-table-writes", "ask for more; larger buffers make fewer files"),
        step("DynamoDB, one status in an index", writes, "dynamodb-partition-writes", "several values for the key of by_status"),
        step("Step Functions, starts", files.a_second, "states-starts", "larger buffers; an express workflow"),
        step("Step Functions, transitions", files.a_second * measured.transitions_a_file, "states-transitions", "ask for more"),
    ]
    if files.by_lambda:
        steps.append(_own("convert_file, at once", "executions", converting, road.convert_at_once, "Concurrency.ConvertFile"))
    else:
        steps.append(step("Fargate, launches", files.a_second, "fargate-launches", "larger buffers; a raised convert_lambda_limit"))
    steps += [
        step("Lambda, the account", transforming + (converting if files.by_lambda else 0), "lambda-account", "ask for more"),
        _own("silver, files a run and table", "files", per_table, road.batch_files, "BATCH_FILES, or a shorter silver_schedule"),
        _own("silver, cores", "vCPU", cores, road.job_cpu, "spark_executors"),
        _own("silver, a run in its interval", "s", running, road.silver_seconds, "MaximumCpu or silver_schedule"),
        step("EMR Serverless, the account", cores, "emr-account", "ask for what MaximumCpu says before the first run"),
    ]
    return steps


def binding(steps: Sequence[ServiceDemand]) -> ServiceDemand:
    """The step that is nearest to its limit, or furthest beyond it."""
    return max((step for step in steps if step.binds), key=lambda step: step.share)


def _own(service: str, unit: str, demand: float, limit: float, setting: str) -> ServiceDemand:
    return ServiceDemand(service, unit, demand, limit, "this project's setting", f"raise {setting}")


def rounded(number: float) -> str:
    """A number with two significant digits, and no decimals from 10 on."""
    if number == 0:
        return "0"
    digits = max(0, 1 - math.floor(math.log10(abs(number))))
    return f"{number:,.{digits}f}"
