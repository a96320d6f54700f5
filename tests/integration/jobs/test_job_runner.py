"""The laptop runs a job by the very parameters of StartJobRun, from the artifacts bucket."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest

from datamaster.aws.deploy.artifacts import job_objects
from datamaster.aws.deploy.spark_submit import submit_parameters
from datamaster.laptop.spark import InvalidJob, fetch, job_log, run_job
from tests.integration.jobs.domain import Lake, insert

pytestmark = pytest.mark.integration


def parameters(lake: Lake, build: Path, batch: dict[str, Any]) -> dict[str, Any]:
    bucket = lake.names["contracts"].split("/")[2]
    objects = job_objects(build)
    for key, content in objects.items():
        boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=content)
    jobs_uri = f"s3://{bucket}/{next(iter(objects)).rsplit('/', 1)[0]}"
    return {
        "ApplicationId": "application",
        "Name": f"{batch['table']}-{batch['batch_id']}",
        "JobDriver": {
            "SparkSubmit": {
                "EntryPoint": f"{jobs_uri}/bronze_to_silver.py",
                "EntryPointArguments": batch["arguments"],
                "SparkSubmitParameters": submit_parameters(
                    jobs_uri, f"s3://{bucket}/environment.tar.gz", lake.names["lake"], "us-east-1", 3
                ),
            }
        },
    }


def test_a_packaged_job_runs_as_a_process(lake: Lake, tmp_path: Path) -> None:
    lake.arrives(insert("beer", 10, beer_id=7))
    (batch,) = lake.plan("beer")
    job = parameters(lake, tmp_path, batch)

    process = run_job(job, os.environ, tmp_path)

    assert process.wait(120) == 0, job_log(job, tmp_path).read_text()
    lake.settler().silver(batch)
    assert [row["beer_id"] for row in lake.live_rows("beer")] == [7]


def test_jobs_that_start_together_share_one_archive(lake: Lake, tmp_path: Path) -> None:
    bucket = lake.names["contracts"].split("/")[2]
    content = os.urandom(1 << 20)
    boto3.client("s3").put_object(Bucket=bucket, Key="jobs/together.zip", Body=content)

    with ThreadPoolExecutor(8) as starts:
        copies = set(starts.map(lambda _: fetch(f"s3://{bucket}/jobs/together.zip", tmp_path), range(8)))

    (copy,) = copies
    assert copy.read_bytes() == content
    assert [path.name for path in copy.parent.iterdir()] == ["together.zip"]


def test_parameters_without_an_entry_point_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidJob, match="EntryPoint"):
        run_job({"JobDriver": {"SparkSubmit": {}}}, {}, tmp_path)
