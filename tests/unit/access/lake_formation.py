"""The tables, columns and rows that principals may select through Lake Formation: tags, named grants and cells filters.

Permissions are a union. A principal that also holds a table without a filter sees all of it:
https://docs.aws.amazon.com/lake-formation/latest/dg/data-filtering.html
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from datamaster.aws.access.matrix import Matrix
from datamaster.aws.cloudformation.rendering import Template

GRANT = "AWS::LakeFormation::PrincipalPermissions"
FILTER = "AWS::LakeFormation::DataCellsFilter"
TAGGED = "AWS::LakeFormation::TagAssociation"
EVERYONE = "IAM_ALLOWED_PRINCIPALS"


@dataclass(frozen=True)
class GrantedView:
    """A principal's view of a table: ``hidden`` columns, the filter of ``rows`` (None for all), and the granting resource."""

    hidden: frozenset[str]
    rows: str | None
    source: str

    @property
    def whole(self) -> bool:
        """Whether it shows every column and row."""
        return not self.hidden and self.rows is None


Views = dict[tuple[str, str, str], list[GrantedView]]
"""By principal, database and table."""


class Grants:
    """The grants of one rendered template, on the tables of the matrix."""

    def __init__(self, template: Template, matrix: Matrix) -> None:
        self.matrix = matrix
        self.grants = template.of_type(GRANT)
        self.filters = {(f["DatabaseName"], f["TableName"], f["Name"]): f for f in template.of_type(FILTER).values()}
        self.database_tags: dict[str, dict[str, str]] = {}
        self.column_tags: dict[tuple[str, str], dict[str, dict[str, str]]] = defaultdict(dict)
        for association in template.of_type(TAGGED).values():
            tags = {tag["TagKey"]: tag["TagValues"][0] for tag in association["LFTags"]}
            resource = association["Resource"]
            if "Database" in resource:
                self.database_tags[resource["Database"]["Name"]] = tags
            else:
                table = resource["TableWithColumns"]
                for column in table["ColumnNames"]:
                    self.column_tags[table["DatabaseName"], table["Name"]][column] = tags

    @property
    def principals(self) -> set[str]:
        """Everyone who is granted anything."""
        return {grant["Principal"]["DataLakePrincipalIdentifier"] for grant in self.grants.values()}

    def may(self, permission: str) -> Views:
        """Every view through which each principal holds ``permission`` (SELECT, DESCRIBE, ALTER) on each table."""
        found: Views = defaultdict(list)
        for name, grant in self.grants.items():
            if permission not in grant["Permissions"]:
                continue
            principal = grant["Principal"]["DataLakePrincipalIdentifier"]
            for database, table, view in self._reached(name, grant["Resource"]):
                found[principal, database, table].append(view)
        return found

    def _reached(self, name: str, resource: Mapping[str, Any]) -> Iterator[tuple[str, str, GrantedView]]:
        if "Table" in resource:
            database, table = resource["Table"]["DatabaseName"], resource["Table"].get("Name")
            for known in self._tables(database):
                if table in (None, known):
                    yield database, known, GrantedView(frozenset(), None, name)
        elif "DataCellsFilter" in resource:
            cells = resource["DataCellsFilter"]
            held = self.filters[cells["DatabaseName"], cells["TableName"], cells["Name"]]
            hidden = frozenset(held.get("ColumnWildcard", {}).get("ExcludedColumnNames", []))
            yield cells["DatabaseName"], cells["TableName"], GrantedView(hidden, held["RowFilter"]["FilterExpression"], name)
        elif resource.get("LFTagPolicy", {}).get("ResourceType") == "TABLE":
            for database, tags in self.database_tags.items():
                expression = {part["TagKey"]: part["TagValues"] for part in resource["LFTagPolicy"]["Expression"]}
                for table in self._tables(database):
                    if _fits(expression, tags):
                        columns = self.column_tags[database, table].items()
                        hidden = frozenset(column for column, own in columns if not _fits(expression, tags | own))
                        yield database, table, GrantedView(hidden, None, name)

    def _tables(self, database: str) -> tuple[str, ...]:
        return next((layer.tables for layer in self.matrix.layers.values() if layer.database == database), ())


def _fits(expression: Mapping[str, list[str]], tags: Mapping[str, str]) -> bool:
    return all(tags.get(key) in values for key, values in expression.items())
