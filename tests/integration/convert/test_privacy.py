"""Personal data is found by detection, decided once, and masked before bronze, by every entrance alike."""

from __future__ import annotations

import hmac
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from beer import CONTRACTS
from lake.contract.store import publish
from tests.integration.convert.conftest import KEY, Road, gz_lines, load

pytestmark = pytest.mark.integration


def profiles(count: int, first: int = 0, **values: Any) -> list[dict[str, Any]]:
    return [
        load(profile_id=n, profile_name=f"drinker {n}", email=f"someone.{n}@example.com", state="SP") | values
        for n in range(first, first + count)
    ]


def hashed(text: str) -> str:
    return hmac.new(bytes.fromhex(KEY), text.encode(), "sha256").hexdigest()


@pytest.fixture
def undecided(road: Road) -> Road:
    road.forget_decisions("profile")
    return road


def test_e_mail_addresses_are_found_and_hashed_before_bronze(undecided: Road) -> None:
    file_id = undecided.arrives("profile", "found.gz", gz_lines(*profiles(300)))

    undecided.convert(file_id)

    rows = undecided.rows(file_id)
    assert [row["email"] for row in rows] == [hashed(f"someone.{n}@example.com") for n in range(300)]
    assert rows[7]["profile_name"] == "drinker 7"


def test_the_container_masks_to_the_same_bytes_as_the_function(undecided: Road) -> None:
    file_id = undecided.arrives("profile", "masked-twice.gz", gz_lines(*profiles(300)))
    undecided.convert(file_id)
    (key,) = undecided.record(file_id).bronze_keys
    by_function = undecided.s3.get_object(Bucket=undecided.lake, Key=key)["Body"].read()
    undecided.control.files.retry(file_id, force=True)

    process = undecided.container(file_id)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 0, errors.decode()
    assert b"example.com" not in by_function
    assert undecided.s3.get_object(Bucket=undecided.lake, Key=key)["Body"].read() == by_function


def test_the_decision_keeps_counts_and_scores_and_no_value(undecided: Road) -> None:
    undecided.convert(undecided.arrives("profile", "evidence.gz", gz_lines(*profiles(300))))

    decision = undecided.control.decisions.get("profile", "email")

    assert decision is not None
    assert decision["decision"] == "personal"
    assert (decision["seen"], decision["entities"]["EMAIL"]) == (300, 300)
    assert "example.com" not in json.dumps(decision, default=str)


def test_a_harmless_column_is_decided_clear(undecided: Road) -> None:
    rows = [row | {"email": ["none", "unknown", "later"][n % 3]} for n, row in enumerate(profiles(300))]
    file_id = undecided.arrives("profile", "harmless.gz", gz_lines(*rows))

    undecided.convert(file_id)

    assert {row["email"] for row in undecided.rows(file_id)} == {"none", "unknown", "later"}


def test_a_file_with_too_few_values_waits_and_publishes_nothing(undecided: Road) -> None:
    file_id = undecided.arrives("profile", "few.gz", gz_lines(*profiles(20)))

    summary = undecided.convert(file_id)

    record = undecided.record(file_id)
    assert (summary.result, record.status, record.contract_version) == ("waiting", "pending", None)
    assert record.not_before is not None
    assert undecided.objects(file_id) == []


def test_a_decision_wakes_the_files_that_wait_for_it(undecided: Road) -> None:
    small = undecided.arrives("profile", "waits.gz", gz_lines(*profiles(20)))
    undecided.convert(small)

    undecided.convert(undecided.arrives("profile", "decides.gz", gz_lines(*profiles(300, first=1000))))

    assert undecided.record(small).not_before is None
    undecided.convert(small)
    assert undecided.rows(small)[0]["email"] == hashed("someone.0@example.com")


def test_evidence_of_small_files_adds_up_and_a_retried_file_counts_once(undecided: Road) -> None:
    files = [undecided.arrives("profile", f"add-{n}.gz", gz_lines(*profiles(90, first=100 * n))) for n in range(3)]

    undecided.convert(files[0])
    undecided.convert(files[0])
    undecided.convert(files[1])
    assert undecided.control.decisions.get("profile", "email") is None
    undecided.convert(files[2])

    decision = undecided.control.decisions.get("profile", "email")
    assert decision is not None
    assert decision["seen"] == 270


def test_a_file_that_waited_long_enough_is_masked_by_the_strict_default(undecided: Road) -> None:
    file_id = undecided.arrives("profile", "strict.gz", gz_lines(*profiles(3)))

    undecided.convert(file_id, pii_wait_seconds=0)

    assert undecided.rows(file_id)[2]["email"] == hashed("someone.2@example.com")
    assert undecided.control.decisions.get("profile", "email") is None


def test_rows_that_the_strict_default_masked_are_clear_once_they_come_again_after_the_decision(undecided: Road) -> None:
    masked = undecided.arrives("profile", "early.gz", gz_lines(*profiles(3)))
    undecided.convert(masked, pii_wait_seconds=0)
    undecided.control.decisions.decide("profile", "email", {"decision": "clear"})

    undecided.control.files.retry(masked, force=True)
    undecided.convert(masked)
    assert undecided.rows(masked)[0]["email"] == hashed("someone.0@example.com")

    exported = undecided.arrives("profile", "export.gz", gz_lines(*profiles(3)))
    undecided.convert(exported)
    assert undecided.rows(exported)[0]["email"] == "someone.0@example.com"


def test_a_file_without_a_value_in_the_column_does_not_wait(undecided: Road) -> None:
    file_id = undecided.arrives("profile", "deletes.gz", gz_lines(*profiles(3, email=None)))

    assert undecided.convert(file_id).result == "converted"


def test_every_attempt_obeys_the_decision_that_was_pinned_first(undecided: Road) -> None:
    file_id = undecided.arrives("profile", "pinned.gz", gz_lines(*profiles(300)))
    undecided.convert(file_id)
    before = undecided.rows(file_id)
    undecided.forget_decisions("profile")
    undecided.control.decisions.decide("profile", "email", {"decision": "clear"})

    undecided.control.files.retry(file_id, force=True)
    undecided.convert(file_id)

    assert undecided.rows(file_id) == before


def test_the_loser_of_a_race_obeys_the_stored_decision(undecided: Road) -> None:
    undecided.control.decisions.decide("profile", "email", {"decision": "clear"})
    file_id = undecided.arrives("profile", "loser.gz", gz_lines(*profiles(300)))

    undecided.convert(file_id)

    assert undecided.rows(file_id)[0]["email"] == "someone.0@example.com"


def test_rejected_lines_of_a_masked_table_are_masked_or_not_shown(undecided: Road) -> None:
    readable = profiles(1)[0] | {"profile_id": "no number", "nickname": "Zé"}
    file_id = undecided.arrives("profile", "rejects.gz", gz_lines(*profiles(300), readable, '{"email": "half@example.com'))

    undecided.convert(file_id)

    key = undecided.record(file_id).quarantine_key
    assert key is not None
    shown, hidden = undecided.parquet(key).read().to_pylist()
    line = json.loads(shown["line"])
    assert (line["email"], line["nickname"]) == (hashed("someone.0@example.com"), hashed("Zé"))
    assert line["profile_name"] == "drinker 0"
    assert (hidden["line"], hidden["line_bytes"]) == (None, len('{"email": "half@example.com'))


def test_an_unknown_column_is_kept_masked_and_counted(undecided: Road) -> None:
    file_id = undecided.arrives(
        "profile", "unknown.gz", gz_lines(*profiles(300), profiles(1)[0] | {"profile_id": 9999, "phone": "555 0100"})
    )

    undecided.convert(file_id)

    extra = [row["_extra"] for row in undecided.rows(file_id) if row["_extra"]]
    assert [json.loads(text) for text in extra] == [{"phone": hashed("555 0100")}]
    assert undecided.record(file_id).unknown_columns == {"phone": 1}


def test_a_decision_says_under_which_schema_and_how_sure_it_was_taken(undecided: Road) -> None:
    undecided.convert(undecided.arrives("profile", "scored.gz", gz_lines(*profiles(300))))

    decision = undecided.control.decisions.get("profile", "email")

    assert decision is not None
    assert decision["schema_version"] == "1.0.0"
    assert 0.9 <= decision["score"] <= 1


def test_detection_beyond_a_days_allowance_is_not_paid_for_and_the_file_waits(undecided: Road) -> None:
    undecided.forget_spending("profile")
    file_id = undecided.arrives("profile", "dear.gz", gz_lines(*profiles(300, first=5000)))

    summary = undecided.convert(file_id, pii_units_a_day=10)

    assert (summary.result, undecided.control.decisions.get("profile", "email")) == ("waiting", None)
    assert undecided.spent("profile") == 0


def test_what_detection_costs_is_counted_by_table_and_day(undecided: Road) -> None:
    undecided.forget_spending("profile")

    undecided.convert(undecided.arrives("profile", "paid.gz", gz_lines(*profiles(300, first=7000))))

    characters = sum(len(f"someone.{n}@example.com") + 1 for n in range(7000, 7300)) - 1
    assert undecided.spent("profile") == -(-characters // 100)


def test_a_column_that_appears_is_detected_anew_and_the_others_keep_their_decision(undecided: Road, tmp_path: Path) -> None:
    undecided.convert(undecided.arrives("profile", "before.gz", gz_lines(*profiles(300))))
    before = undecided.control.decisions.get("profile", "email")
    contracts = tmp_path / "contracts"
    shutil.copytree(CONTRACTS, contracts)
    text = (contracts / "profile.yaml").read_text().replace("version: 1.0.0", "version: 1.1.0")
    (contracts / "profile.yaml").write_text(f"{text}      - name: phone\n        logicalType: string\n        physicalType: varchar(40)\n")
    publish(contracts, undecided.contracts_uri)
    try:
        rows = [row | {"phone": f"+1 212-555-{n:04d}"} for n, row in enumerate(profiles(300, first=9000))]
        file_id = undecided.arrives("profile", "after.gz", gz_lines(*rows))
        undecided.convert(file_id)
    finally:
        publish(CONTRACTS, undecided.contracts_uri)

    phone = undecided.control.decisions.get("profile", "phone")
    assert phone is not None
    assert (phone["decision"], phone["schema_version"], phone["entities"]) == ("personal", "1.1.0", {"PHONE": 300})
    assert undecided.rows(file_id)[5]["phone"] == hashed("+1 212-555-0005")
    assert undecided.control.decisions.get("profile", "email") == before
