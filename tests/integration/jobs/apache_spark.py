"""Apache Spark 3.5 with Iceberg as a process, set up as on EMR Serverless, on the emulator's endpoints.

``make conformance`` makes the environment and names it: ``DM_CONFORMANCE_PYTHON`` (the interpreter of .venv-spark) and
``DM_CONFORMANCE_JARS``.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from datamaster.aws.deploy.spark_submit import catalog_settings

ROOT = Path(__file__).resolve().parents[3]
PYTHON = os.environ.get("DM_CONFORMANCE_PYTHON", "")
JARS = os.environ.get("DM_CONFORMANCE_JARS", "")


@contextmanager
def spark_driver(
    environment: Mapping[str, str], lake_bucket: str, log: Path, own_settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Callable[[str, str], None]]:
    """Apache Spark with the submit settings of the templates, and the emulator's endpoints; runs a job by name and manifest."""
    endpoint = environment["AWS_ENDPOINT_URL"]
    settings = {
        **catalog_settings(f"s3://{lake_bucket}/warehouse"),
        "spark.master": "local[2]",
        "spark.jars": JARS,
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.catalog.lake.glue.endpoint": endpoint,
        "spark.sql.catalog.lake.s3.endpoint": endpoint,
        "spark.sql.catalog.lake.s3.path-style-access": "true",
        "spark.sql.catalog.lake.client.region": environment["AWS_REGION"],
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "spark.hadoop.fs.s3a.endpoint": endpoint,
        "spark.hadoop.fs.s3a.path.style.access": "true",
        **own_settings,
    }
    arguments = " ".join(f"--conf {name}={value}" for name, value in settings.items())
    own = {k: v for k, v in environment.items() if not k.startswith("SPARK_")}
    own |= {"PYSPARK_SUBMIT_ARGS": f"{arguments} pyspark-shell", "PYTHONPATH": f"{ROOT / 'emr-jobs'}:{ROOT}", "PYSPARK_PYTHON": PYTHON}
    with log.open("w") as sink:
        process = subprocess.Popen(
            [PYTHON, str(Path(__file__).with_name("spark_driver.py"))],
            env=own,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sink,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None

        def run(job: str, manifest: str) -> None:
            print(json.dumps({"job": job, "manifest": manifest}), file=process.stdin, flush=True)
            answer = json.loads(process.stdout.readline() or '{"error": "Spark ended"}')
            assert answer.get("ok"), f"{job}: {answer.get('error')}\n{log.read_text()[-4000:]}"

        try:
            hello = process.stdout.readline()
            assert hello, log.read_text()[-4000:]
            assert json.loads(hello)["version"].startswith("3.5.")
            yield run
        finally:
            process.stdin.close()
            process.wait(60)
