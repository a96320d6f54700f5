"""After a deployment nobody reaches the lake's tables by IAM alone, whatever the account grants by default."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from datamaster.aws.deploy.lake_access import EVERYONE, LakeOpen, close

OPEN = [{"Principal": EVERYONE, "Permissions": ["ALL"]}]


class Account:
    """Glue and Lake Formation of a fresh account: each new database and table is open. The emulator has no Lake Formation."""

    def __init__(self, *, may_revoke: bool = True) -> None:
        self.defaults = {"dm_silver": OPEN, "dm_gold": [], "other": OPEN}
        self.grants = [
            self.grant({"Database": {"Name": "dm_silver"}}),
            self.grant({"Table": {"DatabaseName": "dm_silver", "Name": "brewery"}}),
            self.grant({"Table": {"DatabaseName": "dm_gold", "Name": "ALL_TABLES", "TableWildcard": {}}}),
            self.grant({"Database": {"Name": "other"}}),
            self.grant({"Catalog": {}}),
        ]
        self.may_revoke = may_revoke

    @staticmethod
    def grant(resource: dict[str, Any]) -> dict[str, Any]:
        return {"Principal": EVERYONE, "Resource": resource, "Permissions": ["ALL"], "PermissionsWithGrantOption": []}

    def get_paginator(self, _name: str) -> Account:
        return self

    def paginate(self) -> list[dict[str, Any]]:
        found = [
            {"Name": name, "Description": "about", "CatalogId": "1", "CreateTableDefaultPermissions": default}
            for name, default in self.defaults.items()
        ]
        return [{"DatabaseList": found}]

    def update_database(self, Name: str, DatabaseInput: dict[str, Any]) -> None:  # noqa: N803
        assert DatabaseInput == {"Name": Name, "Description": "about", "CreateTableDefaultPermissions": []}
        self.defaults[Name] = []

    def list_permissions(self, Principal: dict[str, str], NextToken: str = "0") -> dict[str, Any]:  # noqa: N803
        """A grant a page, as there may be many."""
        assert Principal == EVERYONE
        number = int(NextToken)
        answer: dict[str, Any] = {"PrincipalResourcePermissions": self.grants[number : number + 1]}
        return answer | ({"NextToken": str(number + 1)} if number + 1 < len(self.grants) else {})

    def revoke_permissions(self, Resource: dict[str, Any], **_what: Any) -> None:  # noqa: N803
        if not self.may_revoke:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no administrator"}}, "RevokePermissions")
        [(kind, named)] = Resource.items()
        assert not named.keys() >= {"Name", "TableWildcard"}, "Lake Formation takes one of both"
        self.grants = [grant for grant in self.grants if not named.items() <= grant["Resource"].get(kind, {}).items()]


def test_what_a_fresh_account_grants_to_everyone_on_the_lake_is_taken_and_other_projects_keep_theirs():
    account = Account()

    taken = close(account, account)

    assert taken == ["ALL on dm_silver", "ALL on dm_silver.brewery", "ALL on dm_gold.ALL_TABLES"]
    assert [grant["Resource"] for grant in account.grants] == [{"Database": {"Name": "other"}}, {"Catalog": {}}]


def test_a_table_that_a_job_makes_later_is_closed_from_the_start():
    account = Account()

    close(account, account)

    assert account.defaults == {"dm_silver": [], "dm_gold": [], "other": OPEN}


def test_a_deployment_stops_if_its_identity_may_not_close_the_lake():
    with pytest.raises(LakeOpen, match=r"no administrator[\s\S]*Next: as an administrator of Lake Formation"):
        close(*[Account(may_revoke=False)] * 2)


def test_a_deployment_stops_while_anything_is_left_open():
    account = Account()
    account.revoke_permissions = lambda **_what: None  # type: ignore[method-assign]  # AWS answers, and nothing has changed

    with pytest.raises(LakeOpen, match=r"IAM_ALLOWED_PRINCIPALS holds ALL on dm_silver, ALL on dm_silver.brewery"):
        close(account, account)
