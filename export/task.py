"""Batch export as a command: ``python -m export.task --table review …``, a scheduled task in the converter's image.

``--dsn`` or ``--secret`` names the source. The secret's SecretString is the JSON that RDS keeps (host, port, username,
password, dbname). Exit codes: 0 exported, 1 not exported or not registered in time, 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

import boto3
from psycopg2.extensions import make_dsn

from export.table_export import export_table
from lake.contract.store import ContractStore
from lake.control import ControlTable
from lake.errors import LakeError


def main(arguments: Sequence[str] | None = None) -> int:
    """Export one table and return the exit code."""
    options = _parser().parse_args(arguments)
    dsn = options.dsn or secret_dsn(options.secret)
    try:
        contract = ContractStore(options.contracts).current().table(options.table)
        control = ControlTable(options.control_table)
        export = export_table(dsn, options.bucket, contract, control, whole=options.whole, load_beside=options.load_beside, progress=_say)
    except LakeError as error:
        _say(str(error))
        return 1
    sys.stdout.write(json.dumps({"export_id": export.export_id, "rows": export.rows, "objects": len(export.objects)}) + "\n")
    return 0


def secret_dsn(secret: str) -> str:
    """The connection string for a database secret.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html
    """
    found = json.loads(boto3.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"])
    return str(
        make_dsn(
            host=found["host"],
            port=found.get("port", 5432),
            user=found["username"],
            password=found["password"],
            dbname=found.get("dbname", "postgres"),
        )
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="export_task", description="Export one table of the source to the raw prefix.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--dsn", help="connection string of the source")
    source.add_argument("--secret", help="Secrets Manager id of the source's credentials")
    parser.add_argument("--table", required=True, help="the lake's name of the table")
    parser.add_argument("--bucket", required=True, help="the stage bucket")
    parser.add_argument("--control-table", required=True, help="name of the control table")
    parser.add_argument("--contracts", required=True, help="s3:// root of the published contracts")
    parser.add_argument("--load-beside", metavar="SLOT", help="load the table anew, beside the changes that this replication slot captures")
    parser.add_argument("--whole", action="store_true", help="every row, not only those since the watermark")
    return parser


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
