"""The driver's access to the Iceberg catalog: PyIceberg for definitions and snapshots, the engine for rows."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import NoSuchTableError

from lake.clients import s3

NAME = "lake"
TIMEOUT_SECONDS = "60"
SILVER, GOLD = "dm_silver", "dm_gold"


@lru_cache(maxsize=1)
def catalog() -> Catalog:
    """The Glue catalog of the credentials' account.

    The S3 endpoint is botocore's, so that both S3 clients of this process use the same service.
    """
    properties: dict[str, Any] = {"type": "glue", **s3_properties()}
    return load_catalog(NAME, **properties)


def s3_properties() -> dict[str, str]:
    """PyIceberg's S3 properties: endpoint and region of boto3's default session, and boto3's timeouts.

    Arrow's own timeouts are one second to connect and three without a byte. They would end a job while the store is only busy.
    """
    timeouts = {"s3.connect-timeout": TIMEOUT_SECONDS, "s3.request-timeout": TIMEOUT_SECONDS}
    return {"s3.endpoint": s3().meta.endpoint_url, "s3.region": s3().meta.region_name} | timeouts


def engine_name(database: str, table: str) -> str:
    """The table's name in SQL."""
    return f"{NAME}.{database}.{table}"


def exists(database: str, table: str) -> bool:
    """Whether the catalog knows the table."""
    return catalog().table_exists((database, table))


def snapshot_id(database: str, table: str) -> str | None:
    """The table's current snapshot, as text. None if it has none."""
    try:
        snapshot = catalog().load_table((database, table)).current_snapshot()
    except NoSuchTableError:
        return None
    return str(snapshot.snapshot_id) if snapshot else None
