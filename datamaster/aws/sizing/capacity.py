"""The settings that limit the pipeline, read from templates, environments and code."""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml

from batches.settings import BATCH_FILES
from datamaster.aws.cloudformation.rendering import Template
from datamaster.aws.sizing.figures import MEASURED
from datamaster.project import PROJECT

ON_AWS = ("lean", "dev", "staging", "prod")
"""The environments on AWS, from the smallest to the largest."""


@dataclass(frozen=True)
class Capacity:
    """One environment's settings. Sizes in MB, times in seconds.

    ``gold_runs`` is runs a day. ``shards`` is 0 for a stream on demand. ``replication_class`` is empty for a serverless replication.
    """

    environment: str
    buffer_seconds: int
    buffer_megabytes: int
    transform_megabytes: int
    transform_seconds: int
    transform_memory: int
    register_at_once: int
    convert_at_once: int
    convert_memory: int
    lambda_limit: int
    container_cpu: float
    container_memory: float
    silver_seconds: int
    gold_runs: int
    sweep_seconds: int
    batch_files: int
    job_cpu: int
    shards: int
    retention_hours: int
    database_capacity: float
    replication_capacity: float
    replication_class: str
    replication_storage: int
    apply_threads: int
    endpoints: int
    endpoint_zones: int
    nat: bool
    keys: int
    secrets: int

    @classmethod
    def every(cls) -> list[Capacity]:
        """The settings of each environment on AWS, from the smallest to the largest."""
        return [cls.of(name) for name in ON_AWS]

    @classmethod
    def of(cls, environment: str) -> Capacity:
        """Read the settings of an environment."""
        chosen = yaml.safe_load((PROJECT / "environments" / f"{environment}.yaml").read_text())
        given = {"Environment": environment, "Endpoints": chosen["network"], "BufferSeconds": str(chosen["buffer_seconds"])}
        names = ["streaming-delivery", "functions-ingest-router.merge", "functions-converter.merge", "ingestion", "processing"]
        names += ["network", "security", "database", "streaming-dms"]
        found = {name: Template(PROJECT / "templates" / f"{name}.yaml", given) for name in names}
        delivery, router, converter = (found[name] for name in names[:3])
        at_once = {**router.document["Mappings"]["Concurrency"][environment], **converter.document["Mappings"]["Concurrency"][environment]}
        endpoints = [body for body in found["network"].of_type("AWS::EC2::VPCEndpoint").values() if body["VpcEndpointType"] == "Interface"]
        return cls(
            environment=environment,
            buffer_seconds=int(delivery.parameters["BufferSeconds"]),
            buffer_megabytes=int(delivery.parameters["BufferMegabytes"]),
            transform_megabytes=int(_processor(delivery, "BufferSizeInMBs")),
            transform_seconds=int(_processor(delivery, "BufferIntervalInSeconds")),
            transform_memory=int(router.properties("TransformRecords")["MemorySize"]),
            register_at_once=int(at_once["RegisterFiles"]),
            convert_at_once=int(at_once["ConvertFile"]),
            convert_memory=int(converter.properties("ConvertFile")["MemorySize"]),
            lambda_limit=int(chosen["convert_lambda_limit"]),
            container_cpu=int(found["ingestion"].parameters["TaskCpu"]) / 1024,
            container_memory=int(found["ingestion"].parameters["TaskMemory"]) / 1024,
            silver_seconds=_rate_seconds(chosen["silver_schedule"]),
            gold_runs=_runs_a_day(chosen["gold_schedule"]),
            sweep_seconds=_rate_seconds(chosen["sweep_schedule"]),
            batch_files=BATCH_FILES,
            job_cpu=int(chosen["spark_jobs_at_once"]) * int(chosen["spark_executors"]) * MEASURED.worker_cores,
            shards=int(chosen["shards"]),
            retention_hours=int(chosen["retention_hours"]),
            database_capacity=float(chosen["database_minimum_capacity"]),
            replication_capacity=float(found["streaming-dms"].parameters["MinimumCapacity"]),
            replication_class=chosen["replication_instance_class"],
            replication_storage=int(chosen["replication_instance_storage"]),
            apply_threads=int(found["streaming-dms"].parameters["ApplyThreads"]),
            endpoints=len(endpoints),
            endpoint_zones=len(endpoints[0]["SubnetIds"]),
            nat=chosen["network"] == "nat",
            keys=len(found["security"].of_type("AWS::KMS::Key")),
            secrets=sum(len(found[name].of_type("AWS::SecretsManager::Secret")) for name in ("security", "database")) + 1,
        )


def _processor(delivery: Template, name: str) -> str:
    stream = delivery.properties("Delivery")["ExtendedS3DestinationConfiguration"]["ProcessingConfiguration"]["Processors"][0]
    return next(str(parameter["ParameterValue"]) for parameter in stream["Parameters"] if parameter["ParameterName"] == name)


def _runs_a_day(schedule: str) -> int:
    found = re.fullmatch(r"cron\(\d+ \*(?:/(\d+))? \* \* \? \*\)", schedule)
    if found is None:
        raise ValueError(f"schedule {schedule!r}; a minute of every hour, or of every N hours, expected")
    return 24 // int(found[1] or 1)


def _rate_seconds(schedule: str) -> int:
    found = re.fullmatch(r"rate\((\d+) minutes?\)", schedule)
    if found is None:
        raise ValueError(f"schedule {schedule!r}; a rate in minutes expected")
    return int(found[1]) * 60
