"""The artifacts that the stacks read from S3: packaged functions, state machines, Spark jobs and contracts."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import orjson
import yaml

from datamaster.aws.deploy.package import Package, digest, write_zip
from datamaster.project import PROJECT
from lake.contract.store import publish

STATE_MACHINES = PROJECT / "templates" / "statemachines"
JOBS = PROJECT / "emr-jobs"
UPLOADS = 8


@dataclass(frozen=True)
class Artifacts:
    """``objects`` maps keys of the artifacts bucket to contents. A key names its content. ``variables`` pass the keys to the stacks."""

    objects: dict[str, bytes]
    variables: dict[str, Any]


def collect(build: Path, packages: Mapping[str, Package]) -> Artifacts:
    """Gather functions, state machines and jobs. Uploads nothing."""
    build.mkdir(parents=True, exist_ok=True)
    objects = {package.key: package.code.read_bytes() for package in packages.values()}
    definitions = {}
    for path in sorted(STATE_MACHINES.glob("*.asl.yaml")):
        content = orjson.dumps(yaml.safe_load(path.read_text()))
        name = path.name.removesuffix(".asl.yaml")
        definitions[name] = f"statemachines/{name}/{digest(content)}.json"
        objects[definitions[name]] = content
    jobs = job_objects(build)
    objects |= jobs
    variables = {
        "functions": {app: {"template": str(package.template.resolve()), "key": package.key} for app, package in packages.items()},
        "definitions": definitions,
        "jobs_prefix": next(iter(jobs)).rsplit("/", 1)[0],
    }
    return Artifacts(objects, variables)


def job_objects(build: Path) -> dict[str, bytes]:
    """The Spark jobs' entry points, and one zip with all modules of the jobs and of lake/."""
    modules = {path.relative_to(JOBS).as_posix(): path.read_bytes() for path in sorted([*JOBS.rglob("*.py"), *JOBS.rglob("*.sql")])}
    library = {f"lake/{path.relative_to(PROJECT / 'lake').as_posix()}": path.read_bytes() for path in (PROJECT / "lake").rglob("*.py")}
    archive = build / "jobs.zip"
    write_zip(archive, modules | library)
    content = archive.read_bytes()
    prefix = f"emr-jobs/{digest(content)}"
    entry_points = {f"{prefix}/{name}": source for name, source in modules.items() if "/" not in name}
    return {f"{prefix}/jobs.zip": content} | entry_points


def upload(artifacts: Artifacts, bucket: str, contracts: Path) -> str:
    """Put missing objects into the bucket and publish the contracts. Returns the contracts' version."""
    s3 = boto3.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    there = {entry["Key"] for page in pages for entry in page.get("Contents", [])}

    def put(key: str) -> None:
        s3.put_object(Bucket=bucket, Key=key, Body=artifacts.objects[key])

    with ThreadPoolExecutor(UPLOADS) as pool:
        list(pool.map(put, sorted(artifacts.objects.keys() - there)))
    return publish(contracts, f"s3://{bucket}/contracts/")
