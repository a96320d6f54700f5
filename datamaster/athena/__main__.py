"""Serve the local Athena: ``python -m datamaster.athena --port N`` (0 takes a free port, printed on the first line)."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import boto3

from datamaster.athena.duckdb_engine import Engine, S3Access
from datamaster.athena.endpoint import AthenaService
from datamaster.athena.executor import AccessCheck, Executor, everyone
from datamaster.athena.glue_catalog import Catalog
from datamaster.athena.query_executions import QueryExecutions
from datamaster.athena.rights import CallerRights
from datamaster.aws.access.matrix import load_matrix
from datamaster.wire.aws_json import AwsJsonServer


def server(
    port: int, memory_limit: str, threads: int, spill: Path, allowed: AccessCheck = everyone, *, authorize: bool = False
) -> AwsJsonServer:
    """The endpoint over the AWS of ``AWS_ENDPOINT_URL``, not yet serving.

    ``allowed`` decides who reads which tables. With ``authorize`` the callers' own policies decide that and all other rights. This
    process's own credentials then have every right.
    """
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    s3 = boto3.client("s3")
    credentials = boto3.Session().get_credentials()
    access = S3Access(
        endpoint=os.environ.get("AWS_ENDPOINT_URL_S3", endpoint),
        access_key=credentials.access_key if credentials else "",
        secret_key=credentials.secret_key if credentials else "",
        region=s3.meta.region_name,
    )
    catalog = Catalog(boto3.client("glue"))
    rights = CallerRights(boto3.client("iam"), catalog, load_matrix(), access.access_key) if authorize else None
    executor = Executor(Engine(access, memory_limit, threads, spill), catalog, s3, access.file_io, rights or allowed)
    # Not this endpoint's own address, which AWS_ENDPOINT_URL_ATHENA may name.
    emulator = boto3.client("athena", endpoint_url=endpoint)
    service = AthenaService(QueryExecutions(executor), emulator, s3, rights)
    return AwsJsonServer(service.operations, port, service.forward)


def main() -> None:
    """Run until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m datamaster.athena", description="Athena's API on DuckDB, over the Glue catalog.")
    parser.add_argument("--port", type=int, default=0, help="TCP port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--memory", default="1GB", help="memory of all statements together, e.g. 512MB; more is spilled to disk")
    parser.add_argument("--threads", type=int, default=2, help="threads of the engine")
    parser.add_argument("--authorize", action="store_true", help="check the rights of every caller, as the emulator does under AUTH")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="athena-spill-") as spill:
        server(options.port, options.memory, options.threads, Path(spill), authorize=options.authorize).run_until_terminated()


if __name__ == "__main__":
    main()
