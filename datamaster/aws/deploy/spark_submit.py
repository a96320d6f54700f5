"""How the Spark jobs are submitted on EMR Serverless: release, catalog, interpreter. One place, used by the templates.

The release's own Python is too old for the jobs, so an archive ships interpreter and libraries:
https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/using-python-libraries.html
Iceberg on EMR Serverless: https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/using-iceberg.html
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

RELEASE_LABEL = "emr-7.13.0"
SPARK_VERSION, ICEBERG_VERSION = "3.5.6", "1.10.0"
"""What the release brings, and make conformance runs: https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-7130-release.html"""
PYTHON_VERSION = "3.11"
ICEBERG_JAR = "/usr/share/aws/iceberg/lib/iceberg-spark3-runtime.jar"
INTERPRETER = "./environment/bin/python"
CATALOG = "lake"
ENVIRONMENTS = ("spark.emr-serverless.driverEnv", "spark.executorEnv")

CORES, MEMORY_GB = 2, 6
"""Of the driver and of each executor; left alone, EMR Serverless takes four cores and 16 GB each, and three executors to begin with:
https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/jobs-spark.html"""

REQUIREMENTS = ("boto3", "orjson", "PyYAML", "pyarrow", "pyiceberg[glue]", "tenacity")
"""What the archive holds beside the interpreter, in the versions of the lock file. PySpark is the release's own."""


def catalog_settings(warehouse: str) -> Mapping[str, str]:
    """Spark's settings of the Iceberg catalog ``lake`` on Glue, and those under which both engines give the same rows.

    ``warehouse`` is an ``s3://`` URI that no table uses: each has a location of its own.
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
    """Spark's settings of a job's size: one executor to begin with, and ``executors`` at most."""
    sizes = {"cores": str(CORES), "memory": f"{MEMORY_GB}g"}
    scaling = {"initialExecutors": "1", "minExecutors": "0", "maxExecutors": str(executors)}
    given = {f"spark.{part}.{name}": value for part in ("driver", "executor") for name, value in sizes.items()}
    return given | {f"spark.dynamicAllocation.{name}": value for name, value in scaling.items()}


def submit_parameters(jobs_uri: str, environment_uri: str, lake_bucket: str, region: str, executors: int) -> str:
    """The text of SparkSubmitParameters.

    ``jobs_uri`` is the folder of the entry points and of jobs.zip, ``environment_uri`` the archive (.tar.gz)
    whose bin/python is the interpreter. ``region`` is given to driver and executors as the variables from which AWS's libraries
    take it: EMR Serverless sets none for an interpreter of one's own. ``executors`` is the most that a job takes.
    """
    settings = {
        "spark.archives": f"{environment_uri}#environment",
        "spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON": INTERPRETER,
        "spark.emr-serverless.driverEnv.PYSPARK_PYTHON": INTERPRETER,
        "spark.executorEnv.PYSPARK_PYTHON": INTERPRETER,
        **{f"{place}.{name}": region for place in ENVIRONMENTS for name in ("AWS_REGION", "AWS_DEFAULT_REGION")},
        **workers(executors),
        "spark.sql.catalogImplementation": "in-memory",  # every table is in Iceberg's catalog; Hive's would start for nothing
        "spark.jars": ICEBERG_JAR,
        f"spark.sql.catalog.{CATALOG}.client.region": region,
        **catalog_settings(f"s3://{lake_bucket}/warehouse"),
    }
    words = [f"--py-files {jobs_uri}/jobs.zip", *(f"--conf {name}={value}" for name, value in settings.items())]
    return " ".join(words)


def cores_at_once(jobs: int, executors: int) -> int:
    """The cores of jobs that run at once, each with its driver and all its executors."""
    return jobs * CORES * (1 + executors)
