"""What the jobs are started with, and that conformance runs what the release has."""

from __future__ import annotations

import re

from datamaster.aws.deploy.spark_submit import ICEBERG_VERSION, SPARK_VERSION, submit_parameters
from datamaster.project import PROJECT


def settings(region: str) -> dict[str, str]:
    text = submit_parameters("s3://artifacts/jobs", "s3://artifacts/environment.tar.gz", "lake", region)
    return dict(word.split("=", 1) for word in text.split(" --conf ")[1:])


def test_driver_and_executors_know_their_region_as_every_library_of_aws_reads_it():
    """EMR Serverless sets no region for an interpreter of one's own, and boto3's clients fail without."""
    given = settings("eu-west-1")

    for place in ("spark.emr-serverless.driverEnv", "spark.executorEnv"):
        assert {given[f"{place}.{name}"] for name in ("AWS_REGION", "AWS_DEFAULT_REGION")} == {"eu-west-1"}
    assert given["spark.sql.catalog.lake.client.region"] == "eu-west-1"


def test_conformance_runs_the_spark_and_iceberg_of_the_release():
    jars = set(re.findall(r"org\.apache\.iceberg:[\w.-]+:([\d.]+)", (PROJECT / "Makefile").read_text()))
    pyspark = re.search(r"^pyspark==([\d.]+)", (PROJECT / "emr-jobs" / "requirements.txt").read_text(), re.MULTILINE)

    assert jars == {ICEBERG_VERSION}
    assert pyspark
    assert pyspark[1] == SPARK_VERSION
