"""Runs jobs on Apache Spark for the conformance test: reads ``{"job", "manifest"}`` lines, answers one JSON line each.

Started by that test with the interpreter of .venv-spark, which has PySpark and what the jobs import and nothing else.
"""

from __future__ import annotations

import json
import sys
import traceback


def main() -> None:
    from pyspark.sql import SparkSession

    from jobs.derived import build_job
    from jobs.silver import key_index, merge_job
    from jobs.upkeep import upkeep_job

    runs = {"bronze_to_silver": merge_job, "review_flat": build_job, "silver_to_gold": build_job, "maintenance": upkeep_job}
    spark = SparkSession.builder.getOrCreate()
    key_index.FROM_FILES = 1  # the scenarios' tables are small
    answer = sys.stdout
    sys.stdout = sys.stderr
    print(json.dumps({"version": spark.version}), file=answer, flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        try:
            runs[task["job"]].run(spark, task["manifest"])
            print(json.dumps({"ok": True}), file=answer, flush=True)
        except Exception as error:
            traceback.print_exc()
            print(json.dumps({"ok": False, "error": f"{type(error).__name__}: {str(error)[:2000]}"}), file=answer, flush=True)


if __name__ == "__main__":
    main()
