"""How well detection finds personal data, on generated values whose type is known: recall and precision by type."""

import threading

import boto3
import pytest

from datamaster.laptop.comprehend.operations import OPERATIONS
from datamaster.project import PROJECT
from datamaster.wire.aws_json import AwsJsonServer
from lake.privacy import decide
from lake.privacy.detection import Detector
from tests.integration.privacy.labelled import NOTHING, TYPES, labelled

pytestmark = pytest.mark.integration
OWN = {"CPF", "CNPJ"}


@pytest.fixture(scope="module")
def detector():
    running = AwsJsonServer(OPERATIONS)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    keys = {"region_name": "us-east-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}
    yield Detector(boto3.client("comprehend", endpoint_url=running.url, **keys))
    running.shutdown()
    thread.join()


@pytest.fixture(scope="module")
def found(detector):
    """What was found in each value, by its true type."""
    return {kind: [set(detector.examine([value]).entities) for value in values] for kind, values in labelled().items()}


@pytest.fixture(scope="module")
def table(found):
    """Recall and precision by type: how many of its values were found, and how many finds of it were right."""
    rows = {}
    for kind in TYPES:
        right = sum(kind in kinds for kinds in found[kind])
        said = sum(kind in kinds for values in found.values() for kinds in values)
        rows[kind] = (right / len(found[kind]), right / said if said else 0.0)
    return rows


def lines(found, table):
    values = sum(len(found[kind]) for kind in TYPES)
    caught = sum(bool(kinds) for kind in TYPES for kinds in found[kind])
    false = sum(map(bool, found[NOTHING]))
    head = ["| type | recall | precision |", "|---|---|---|"]
    body = [f"| {kind} | {recall:.2f} | {precision:.2f} |" for kind, (recall, precision) in table.items()]
    return [*head, *body, f"| any of them | {caught / values:.2f} | {caught / (caught + false):.2f} |"]


def test_recall_and_precision_are_those_of_the_page(found, table, capsys):
    printed = lines(found, table)
    with capsys.disabled():
        print("", *printed, sep="\n")
    page = (PROJECT / "docs" / "governance.md").read_text()
    assert "\n".join(printed) in page, "docs/governance.md tells other numbers"


def test_at_least_ten_types_of_comprehend_and_both_tax_numbers_are_measured(table):
    assert set(table) >= OWN
    assert len(set(table) - OWN) >= 10


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_a_column_of_personal_values_is_decided_personal(detector, kind):
    assert decide(detector.examine(labelled(seed=2, count=200)[kind])) == "personal"


def test_a_column_of_nobodys_values_is_decided_clear(detector):
    values = [value for value in labelled(seed=3, count=60)[NOTHING] if not value.isdigit()]
    assert decide(detector.examine(values)) == "clear"


@pytest.mark.parametrize("kind", sorted(OWN))
def test_tax_numbers_are_found_by_their_check_digits_every_time(table, kind):
    assert table[kind][0] == 1.0
