"""A caller's rights, from the emulator's IAM with the caller's own policies, and from the access matrix for Lake Formation.

Athena checks three rights of the caller: the operation on the work group, the description of every table in Glue, and the table's data.
Data is read through Lake Formation, or as objects if the caller holds s3:GetObject on the location:
https://docs.aws.amazon.com/athena/latest/ug/security-athena-lake-formation.html. Lake Formation is not emulated. Its grants come from
governance/access.yaml, which a test compares with the templates. A table with hidden cells is refused here, because a laptop cannot hide
them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from datamaster.athena.failures import StatementFailed
from datamaster.athena.glue_catalog import Catalog
from datamaster.athena.statement import EVERY_TABLE, TableName
from datamaster.aws.access.matrix import Cell, Matrix
from datamaster.wire import ACCOUNT, REGION
from datamaster.wire.aws_json import ServiceError


class CallerRights:
    """Decides by the policies of the IAM user that owns an access key.

    ``administrator`` is the emulator's own access key, with every right. A role's sessions are refused, because the emulator does not
    report a session's owner.
    """

    def __init__(self, iam: Any, catalog: Catalog, matrix: Matrix, administrator: str) -> None:
        self.iam, self.catalog, self.matrix, self.administrator = iam, catalog, matrix, administrator

    def __call__(self, access_key: str | None, tables: Iterable[TableName]) -> None:
        """Raise ``StatementFailed`` (PERMISSION_DENIED) if the caller may not read one of ``tables``."""
        if access_key == self.administrator:
            return
        user = self._user(access_key)
        if user is None:
            raise StatementFailed("PERMISSION_DENIED", f"the access key {access_key} belongs to no user")
        for name in sorted(tables):
            reason = self._refused(user, name)
            if reason:
                raise StatementFailed("PERMISSION_DENIED", f"user {user} {reason}")

    def operation(self, access_key: str | None, action: str, work_group: str) -> None:
        """Raise ``AccessDeniedException`` if the caller may not call an operation of Athena on a work group."""
        self._must(access_key, f"athena:{action}", f"arn:aws:athena:{REGION}:{ACCOUNT}:workgroup/{work_group}")

    def result(self, access_key: str | None, bucket: str, key: str) -> None:
        """Raise ``AccessDeniedException`` if the caller may not write the result of a query."""
        self._must(access_key, "s3:PutObject", f"arn:aws:s3:::{bucket}/{key}")

    def _must(self, access_key: str | None, action: str, resource: str) -> None:
        if access_key == self.administrator:
            return
        user = self._user(access_key)
        if user is None or not self._may(user, action, resource):
            who = f"User: arn:aws:iam::{ACCOUNT}:user/{user}" if user else f"The access key {access_key}, which belongs to no user,"
            raise ServiceError("AccessDeniedException", f"{who} is not authorized to perform: {action} on resource: {resource}")

    def _refused(self, user: str, name: TableName) -> str | None:
        """The reason why the user may not read the table, or None."""
        database = f"arn:aws:glue:{REGION}:{ACCOUNT}:database/{name.database}"
        if name.table == EVERY_TABLE:
            return None if self._may(user, "glue:GetTables", database) else f"is not authorized to perform: glue:GetTables on {database}"
        table = f"arn:aws:glue:{REGION}:{ACCOUNT}:table/{name.database}/{name.table}"
        for resource in (database, table):
            if not self._may(user, "glue:GetTable", resource):
                return f"is not authorized to perform: glue:GetTable on resource: {resource}"
        found = self.catalog.table(name)
        if found.view is not None or self._reads_objects(user, found.location):
            return None
        if not self._may(user, "lakeformation:GetDataAccess", "*"):
            return f"is not authorized to perform: s3:GetObject on the objects of {name.database}.{name.table}"
        return self._refused_by_lake_formation(user, name)

    def _refused_by_lake_formation(self, user: str, name: TableName) -> str | None:
        layer = next((layer for layer in self.matrix.layers.values() if layer.database == name.database), None)
        for role in self._roles(user):
            if layer is None or not self.matrix.allows(role, Cell(layer.name, "tables", "select", name.table)):
                continue
            if self.matrix.filter_of(role, layer.name, name.table):
                return f"sees {name.database}.{name.table} through a cells filter, which only Lake Formation on AWS applies"
            return None
        return f"has no Lake Formation permission SELECT on {name.database}.{name.table}"

    def _reads_objects(self, user: str, location: str) -> bool:
        address = urlsplit(location)
        return self._may(user, "s3:GetObject", f"arn:aws:s3:::{address.netloc}/{address.path.strip('/')}/data")

    def _user(self, access_key: str | None) -> str | None:
        try:
            return str(self.iam.get_access_key_last_used(AccessKeyId=access_key or "")["UserName"])
        except ClientError:
            return None

    def _roles(self, user: str) -> list[str]:
        """The people of the matrix whose policy the user carries: dm-<role>-<environment>."""
        attached = self.iam.list_attached_user_policies(UserName=user)["AttachedPolicies"]
        names = [policy["PolicyName"].removeprefix("dm-").rpartition("-")[0] for policy in attached]
        return [name for name in names if name in self.matrix.roles]

    def _may(self, user: str, action: str, resource: str) -> bool:
        answer = self.iam.simulate_principal_policy(
            PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:user/{user}", ActionNames=[action], ResourceArns=[resource]
        )
        return all(result["EvalDecision"] == "allowed" for result in answer["EvaluationResults"])
