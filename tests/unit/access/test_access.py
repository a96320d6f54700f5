"""The access matrix: what it says, and how it refuses what makes no sense."""

import re
import runpy
import subprocess
import sys

import pytest
import yaml

from beer import CONTRACTS
from datamaster.aws.access.matrix import MATRIX, Cell, InvalidMatrix, load_matrix
from datamaster.aws.access.matrix_page import matrix_lines
from datamaster.project import PROJECT
from lake.contract import ContractSet


@pytest.fixture
def changed(tmp_path):
    """The project's matrix with a change, loaded."""

    def load(change):
        document = yaml.safe_load(MATRIX.read_text())
        change(document)
        path = tmp_path / "access.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        return load_matrix(path)

    return load


def grant(role, layer, actions, section="people"):
    return lambda document: document[section][role]["grants"].__setitem__(layer, actions)


def test_what_is_not_written_is_refused():
    matrix = load_matrix()
    assert matrix.allows("demo", Cell("gold", "tables", "select", "top_drinkers"))
    assert not matrix.allows("demo", Cell("silver", "tables", "select", "profile"))


def test_no_person_reads_places_that_hold_personal_data_in_clear():
    matrix = load_matrix()
    clear = {layer.name for layer in matrix.layers.values() if layer.personal == "clear"}
    assert clear == {"stream", "raw", "errors"}
    assert [cell for role in matrix.people for cell in role.allowed if cell.layer in clear | {"mask-key"}] == []


def test_the_layers_name_the_tables_that_the_contracts_and_the_jobs_make():
    matrix = load_matrix()
    contracts = set(ContractSet.from_directory(CONTRACTS).tables)
    derived = {path.stem for path in CONTRACTS.glob("derived/*.sql")}
    assert set(matrix.layers["bronze"].tables) == contracts
    assert set(matrix.layers["silver"].tables) == contracts | {"review_flat"}
    assert set(matrix.layers["gold"].tables) == derived - {"review_flat"}


def test_hidden_and_personal_columns_are_columns_of_their_tables():
    matrix = load_matrix()
    tables = ContractSet.from_directory(CONTRACTS).tables
    for table, columns in matrix.personal_columns.items():
        assert set(columns) <= set(tables[table].by_name)
        assert all(tables[table].by_name[column].classification != "public" for column in columns)
    for cells in matrix.filters:
        if cells.table in tables:
            assert {*cells.hide, cells.row_column} <= set(tables[cells.table].by_name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (grant("demo", "platinum", ["read"]), r'access.yaml: people.demo.grants: unknown layer "platinum"; one of batches, bronze'),
        (grant("demo", "gold", {"beers": ["select"]}), r'people.demo.grants.gold: unknown table "beers"; one of state_by_review_volume'),
        (grant("demo", "gold", {"*": ["drop"]}), r'people.demo.grants.gold.\*: unknown action "drop"; one of alter, delete, describe'),
        (grant("demo", "mask-key", ["write"]), r'unknown action "write"; one of read'),
        (lambda document: document["cells"][0].update(role="intern"), r'unknown role "intern"; one of analyst, api'),
        (lambda document: document["cells"][0].update(table="silver.beers"), r'unknown table "beers"; one of beer, brewery'),
        (
            lambda document: document["cells"][0].update(table="silver.review"),
            r"limits a table that is not granted; grant select on it to analyst",
        ),
        (lambda document: document["cells"][0].pop("rows"), r'rows need "column" and "one_of"'),
        (lambda document: document["people"]["demo"].pop("template"), r'people.demo: has no "template"'),
        (
            lambda document: document["layers"]["gold"].update(personal="some"),
            r'layers.gold: unknown personal "some"; one of clear, masked, none',
        ),
        (lambda document: document["personal_columns"].update(persons=["name"]), r'unknown table "persons"'),
        (lambda document: document.update(persons={}), r'the matrix: unknown part "persons"; one of cells, layers'),
        (lambda document: document.update(people=["demo"]), r"people: is a list; names with their values expected"),
    ],
)
def test_an_unknown_name_is_told_with_the_known_ones(changed, change, message):
    with pytest.raises(InvalidMatrix, match=message):
        changed(change)


def test_the_command_prints_the_matrix():
    done = subprocess.run([sys.executable, "-m", "datamaster.aws.access"], cwd=PROJECT, capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == matrix_lines(load_matrix())


def test_the_command_tells_what_is_wrong_in_one_line(changed, monkeypatch, capsys):
    wrong = lambda: changed(lambda document: document["cells"][0].update(role="intern"))  # noqa: E731
    monkeypatch.setattr("datamaster.aws.access.matrix.load_matrix", wrong)

    with pytest.raises(SystemExit) as ended:
        runpy.run_module("datamaster.aws.access", run_name="__main__")

    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (2, "")
    assert re.fullmatch(r'access.yaml: cells of intern on silver.profile: unknown role "intern"; one of analyst, api, .*\n', told.err)


def test_the_page_shows_the_matrix():
    page = (PROJECT / "docs" / "governance.md").read_text()
    assert "\n".join(matrix_lines(load_matrix())) in page, "docs/governance.md shows another matrix; put these lines there"
