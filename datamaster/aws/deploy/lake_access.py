"""Remove the group IAM_ALLOWED_PRINCIPALS from the lake's databases, so that Lake Formation decides on every read.

A new account gives this group every right on each new database and table. That voids every grant and filter. CloudFormation cannot clear
these defaults (cloudformation-coverage-roadmap issue 2197), and other projects may depend on them. So the lake's databases are closed one
by one. https://docs.aws.amazon.com/lake-formation/latest/dg/change-settings.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from lake.errors import TerminalError

EVERYONE = {"DataLakePrincipalIdentifier": "IAM_ALLOWED_PRINCIPALS"}
PREFIX = "dm_"
KEPT = ("Name", "Description", "LocationUri", "Parameters")
"""Fields that an update of a database would otherwise remove: https://docs.aws.amazon.com/glue/latest/webapi/API_UpdateDatabase.html"""


class LakeOpen(TerminalError):
    """A database or table of the lake is, or may be, open to every principal that IAM allows."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"Lake Formation does not protect the lake: {reason}\n"
            "Next: as an administrator of Lake Formation, aws lakeformation list-permissions --principal"
            " DataLakePrincipalIdentifier=IAM_ALLOWED_PRINCIPALS shows it and revoke-permissions takes it away; then dm deploy again"
        )


def close(glue: Any, lake_formation: Any) -> list[str]:
    """Revoke the rights of ``IAM_ALLOWED_PRINCIPALS`` on the lake's databases and tables. Returns the revoked rights.

    Raises ``LakeOpen`` if a right remains, or if this identity may not list or revoke.
    """
    try:
        _clear_defaults(glue)
        taken = list(_held(lake_formation))
        for grant in taken:
            lake_formation.revoke_permissions(
                Principal=EVERYONE,
                Resource=_named(grant["Resource"]),
                Permissions=grant["Permissions"],
                PermissionsWithGrantOption=grant.get("PermissionsWithGrantOption", []),
            )
        left = [_told(grant) for grant in _held(lake_formation)]
    except ClientError as error:
        raise LakeOpen(f"{error}.") from error
    if left:
        raise LakeOpen(f"IAM_ALLOWED_PRINCIPALS holds {', '.join(left)}.")
    return [_told(grant) for grant in taken]


def _clear_defaults(glue: Any) -> None:
    """Clear the databases' default permissions, so that a table made by a job starts closed."""
    for page in glue.get_paginator("get_databases").paginate():
        for database in page["DatabaseList"]:
            if database["Name"].startswith(PREFIX) and database.get("CreateTableDefaultPermissions"):
                kept = {key: database[key] for key in KEPT if key in database}
                glue.update_database(Name=database["Name"], DatabaseInput=kept | {"CreateTableDefaultPermissions": []})


def _named(resource: dict[str, Any]) -> dict[str, Any]:
    """A listed resource in the form of a revocation. A table wildcard is listed with a name, but may not be revoked with one."""
    [(kind, named)] = resource.items()
    return {kind: {key: value for key, value in named.items() if key != "Name" or "TableWildcard" not in named}}


def _held(lake_formation: Any) -> Iterator[dict[str, Any]]:
    call: dict[str, Any] = {"Principal": EVERYONE}
    while True:
        answer = lake_formation.list_permissions(**call)
        for grant in answer["PrincipalResourcePermissions"]:
            if _database(grant["Resource"]).startswith(PREFIX):
                yield grant
        if not answer.get("NextToken"):
            return
        call["NextToken"] = answer["NextToken"]


def _database(resource: dict[str, Any]) -> str:
    [(kind, named)] = resource.items()
    return str(named.get("Name" if kind == "Database" else "DatabaseName", ""))


def _told(grant: dict[str, Any]) -> str:
    [(kind, named)] = grant["Resource"].items()
    place = named["Name"] if kind == "Database" else f"{named['DatabaseName']}.{named.get('Name', '*')}"
    return f"{'/'.join(grant['Permissions'])} on {place}"
