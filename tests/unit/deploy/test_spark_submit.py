"""What the jobs are started with, and that conformance runs what the release has."""

from __future__ import annotations

import re

import pytest

from datamaster.aws.deploy.environments import load_environment
from datamaster.aws.deploy.preview import parameters_of
from datamaster.aws.deploy.spark_submit import ICEBERG_VERSION, SPARK_VERSION, cores_at_once, submit_parameters
from datamaster.aws.deploy.stacks import levels
from datamaster.project import PROJECT


def settings(region: str) -> dict[str, str]:
    text = submit_parameters("s3://artifacts/jobs", "s3://artifacts/environment.tar.gz", "lake", region, 3)
    return dict(word.split("=", 1) for word in text.split(" --conf ")[1:])


def test_driver_and_executors_know_their_region_as_every_library_of_aws_reads_it():
    """EMR Serverless sets no region for an interpreter of one's own, and boto3's clients fail without."""
    given = settings("eu-west-1")

    for place in ("spark.emr-serverless.driverEnv", "spark.executorEnv"):
        assert {given[f"{place}.{name}"] for name in ("AWS_REGION", "AWS_DEFAULT_REGION")} == {"eu-west-1"}
    assert given["spark.sql.catalog.lake.client.region"] == "eu-west-1"


def test_a_job_begins_small_and_is_bounded():
    given = settings("us-east-1")

    assert (given["spark.driver.cores"], given["spark.executor.cores"], given["spark.dynamicAllocation.initialExecutors"]) == (
        "2",
        "2",
        "1",
    )
    assert given["spark.dynamicAllocation.maxExecutors"] == "3"


@pytest.mark.parametrize("name", ["dev", "staging", "prod"])
def test_the_application_holds_as_many_jobs_as_run_at_once_and_the_others_queue(name: str):
    environment = load_environment(name)
    stacks = {stack.name: stack for level in levels(environment) for stack in level}
    given = parameters_of(stacks["processing-emr"])
    jobs, executors = int(environment.variables["spark_jobs_at_once"]), int(environment.variables["spark_executors"])

    assert given["MaximumCpu"] == f"{cores_at_once(jobs, executors)} vCPU"
    assert given["JobsAtOnce"] == str(jobs)


def test_dev_and_staging_fit_into_the_sixteen_cores_that_an_account_starts_with():
    for environment in map(load_environment, ("dev", "staging")):
        assert cores_at_once(environment.variables["spark_jobs_at_once"], environment.variables["spark_executors"]) <= 16


def test_conformance_runs_the_spark_and_iceberg_of_the_release():
    jars = set(re.findall(r"org\.apache\.iceberg:[\w.-]+:([\d.]+)", (PROJECT / "Makefile").read_text()))
    pyspark = re.search(r"^pyspark==([\d.]+)", (PROJECT / "emr-jobs" / "requirements.txt").read_text(), re.MULTILINE)

    assert jars == {ICEBERG_VERSION}
    assert pyspark
    assert pyspark[1] == SPARK_VERSION
