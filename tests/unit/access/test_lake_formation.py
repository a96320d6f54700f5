"""Lake Formation's grants, added up per principal as AWS does, are those of the access matrix."""

import pytest

from datamaster.aws.access.matrix import load_matrix
from tests.unit.access.lake_formation import EVERYONE, Grants

MATRIX = load_matrix()
DATABASES = {layer.database: layer for layer in MATRIX.layers.values() if layer.database}
WORDS = {"select": "SELECT", "describe": "DESCRIBE", "alter": "ALTER"}


@pytest.fixture(scope="module")
def grants(rendered):
    return Grants(rendered["governance-grants.yaml"], MATRIX)


@pytest.mark.parametrize("action", ["select", "alter"])
def test_a_principal_holds_on_each_table_what_the_matrix_says(grants, action):
    granted = {(principal, DATABASES[database].name, table) for principal, database, table in grants.may(WORDS[action])}

    wanted = {(role.name, cell.layer, cell.table) for role in MATRIX.roles.values() for cell in role.allowed if cell.action == action}

    assert granted == wanted


def test_a_table_with_hidden_cells_is_held_through_its_filter_alone(grants):
    """The union of what a principal holds hides something only where nothing else grants the table."""
    views = grants.may("SELECT")
    for cells in MATRIX.filters:
        held = views[cells.role, MATRIX.layers[cells.layer].database, cells.table]
        assert [(view.hidden, view.rows) for view in held] == [(frozenset(cells.hide), cells.expression)], cells


def test_a_table_without_hidden_cells_is_seen_whole(grants):
    for (principal, database, table), views in grants.may("SELECT").items():
        if MATRIX.filter_of(principal, DATABASES[database].name, table) is None:
            assert any(view.whole for view in views), (principal, database, table)


def test_a_grant_by_tag_beside_a_filter_would_be_found(rendered):
    """The check above can fail: with silver in the analyst's tags the filter hides nothing."""
    template = rendered["governance-grants.yaml"]
    grants = Grants(template, MATRIX)
    grants.grants["AnalystTables"]["Resource"]["LFTagPolicy"]["Expression"][0]["TagValues"].append("silver")
    held = grants.may("SELECT")["analyst", "dm_silver", "review_flat"]
    assert any(view.whole for view in held)


def test_nothing_is_open_to_everyone_whom_iam_allows(rendered, grants):
    databases = [found for template in rendered.values() for found in template.of_type("AWS::Glue::Database").values()]
    assert len(databases) == 5
    assert [found for found in databases if found["DatabaseInput"]["CreateTableDefaultPermissions"] != []] == []
    assert EVERYONE not in grants.principals


def test_the_accounts_other_administrators_and_its_defaults_stay(rendered):
    [settings] = rendered["lake-formation.yaml"].of_type("AWS::LakeFormation::DataLakeSettings").values()
    assert settings.keys() == {"Admins", "MutationType"}
    assert settings["MutationType"] == "APPEND"


def test_the_settings_come_before_any_database(rendered):
    from datamaster.aws.deploy.environments import load_environment
    from datamaster.aws.deploy.stacks import launch_order

    order = [name for level in launch_order(load_environment("dev")) for name in level]
    with_databases = [name for name in order if f"{name}.yaml" in rendered and rendered[f"{name}.yaml"].of_type("AWS::Glue::Database")]
    assert set(with_databases) >= {"catalog", "audit"}
    assert all(order.index("lake-formation") < order.index(name) for name in with_databases)


def test_nobody_may_grant_on_what_was_granted(grants):
    assert [name for name, grant in grants.grants.items() if grant.get("PermissionsWithGrantOption")] == []


def test_personal_columns_carry_their_own_tag(grants):
    for table, columns in MATRIX.personal_columns.items():
        assert grants.column_tags["dm_silver", table] == {column: {"sensitivity": "personal"} for column in columns}


def test_every_layer_with_tables_is_tagged_with_its_name(grants):
    assert {database: tags["layer"] for database, tags in grants.database_tags.items()} == {
        layer.database: layer.name for layer in DATABASES.values()
    }
