"""Submit parameters of the Spark jobs on EMR Serverless, in one place for all templates: release, catalog, interpreter.

The release's own Python is too old for the jobs, so an archive brings interpreter and libraries:
https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/using-python-libraries.html

Iceberg on EMR Serverless: https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/using-iceberg.html
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

RELEASE_LABEL = "emr-7.13.0"
SPARK_VERSION, ICEBERG_VERSION = "3.5.6", "1.10.0"
"""The release's versions, which make conformance runs too: https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-7130-release.html"""
PYTHON_VERSION = "3.11"
ICEBERG_JAR = "/usr/share/aws/iceberg/lib/iceberg-spark3-runtime.jar"
INTERPRETER = "./environment/bin/python"
CATALOG = "lake"
ENVIRONMENTS = ("spark.emr-serverless.driverEnv", "spark.executorEnv")

CORES, MEMORY_GB = 2, 6
"""Per driver and executor. EMR Serverless's default is four vCPUs and 16 GB, with three initial executors:
https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/jobs-spark.html"""

REQUIREMENTS = ("boto3", "msgspec", "orjson", "PyYAML", "pyarrow", "pyiceberg[glue]", "tenacity")
"""What the archive holds beside the interpreter, in the versions of the lock file. PySpark is the release's own."""


def catalog_settings(warehouse: str) -> Mapping[str, str]:
    """Spark's settings of the Iceberg catalog ``lake`` on Glue, and those that give equal rows on both engines.

    ``warehouse`` is an ``s3://`` URI. No table uses it, because each has its own location.
    """
    return MappingProxyType(
        {
            "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
            f"spark.sql.catalog.{CATALOG}": "org.apache.iceberg.spark.SparkCatalog",
            f"spark.sql.catalog.{CATALOG}.catalog-impl": "org.apache.iceberg.aws.glue.GlueCatalog",
            f"spark.sql.catalog.{CATALOG}.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
            f"spark.sql.catalog.{CATALOG}.warehouse": warehouse,
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.ansi.enabled": "false",
        }
    )


def workers(executors: int) -> Mapping[str, str]:
    """Spark's sizing settings: a job starts with one executor and takes at most ``executors``."""
    sizes = {"cores": str(CORES), "memory": f"{MEMORY_GB}g"}
    scaling = {"initialExecutors": "1", "minExecutors": "0", "maxExecutors": str(executors)}
    given = {f"spark.{part}.{name}": value for part in ("driver", "executor") for name, value in sizes.items()}
    return given | {f"spark.dynamicAllocation.{name}": value for name, value in scaling.items()}


def submit_parameters(jobs_uri: str, environment_uri: str, lake_bucket: str, region: str, executors: int) -> str:
    """The text of SparkSubmitParameters.

    ``jobs_uri`` is the folder with the entry points and jobs.zip. ``environment_uri`` is the archive (.tar.gz) with the interpreter
    bin/python. ``executors`` is a job's maximum.

    Driver and executors get ``region`` as environment variables for AWS's libraries. EMR Serverless sets none for a custom interpreter.
    """
    settings = {
        "spark.archives": f"{environment_uri}#environment",
        "spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON": INTERPRETER,
        "spark.emr-serverless.driverEnv.PYSPARK_PYTHON": INTERPRETER,
        "spark.executorEnv.PYSPARK_PYTHON": INTERPRETER,
        **{f"{place}.{name}": region for place in ENVIRONMENTS for name in ("AWS_REGION", "AWS_DEFAULT_REGION")},
        **workers(executors),
        "spark.sql.catalogImplementation": "in-memory",  # all tables are in Iceberg's catalog, so Hive's need not start
        "spark.jars": ICEBERG_JAR,
        f"spark.sql.catalog.{CATALOG}.client.region": region,
        **catalog_settings(f"s3://{lake_bucket}/warehouse"),
    }
    words = [f"--py-files {jobs_uri}/jobs.zip", *(f"--conf {name}={value}" for name, value in settings.items())]
    return " ".join(words)


def cores_at_once(jobs: int, executors: int) -> int:
    """The vCPUs of jobs that run at once, each with its driver and all its executors."""
    return jobs * CORES * (1 + executors)
