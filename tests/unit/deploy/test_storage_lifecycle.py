"""What lies in clear in the stage bucket is gone after 30 days, whatever became of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from datamaster.aws.cloudformation.reading import read_template
from datamaster.aws.dashboards.objectives import objectives

TEMPLATE = Path(__file__).resolve().parents[3] / "templates" / "storage.yaml"
CLEAR_DAYS = 30
LIFECYCLE_DAYS = 2
"""S3 runs the rules once a day: https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-expire-general-considerations.html"""


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    loaded: dict[str, Any] = read_template(TEMPLATE.read_text())
    return loaded


@pytest.mark.parametrize("prefix", ["raw/", "errors/"])
def test_every_object_in_clear_expires_and_its_old_version_with_it_within_thirty_days(template: dict[str, Any], prefix: str) -> None:
    rules = template["Resources"]["Stage"]["Properties"]["LifecycleConfiguration"]["Rules"]
    (old_versions,) = (rule["NoncurrentVersionExpiration"]["NoncurrentDays"] for rule in rules if "NoncurrentVersionExpiration" in rule)
    parameters = [rule["ExpirationInDays"]["Ref"] for rule in rules if rule.get("Prefix") == prefix and "TagFilters" not in rule]

    assert parameters, f"nothing expires under {prefix} but what is tagged"
    assert all(template["Parameters"][name]["MaxValue"] + old_versions <= CLEAR_DAYS for name in parameters)
    assert all(template["Parameters"][name]["Default"] + old_versions <= CLEAR_DAYS for name in parameters)


def test_settled_raw_objects_may_not_outlive_the_others(template: dict[str, Any]) -> None:
    parameters = template["Parameters"]

    assert parameters["SettledRawDays"]["Default"] <= parameters["SettledRawDays"]["MaxValue"] <= parameters["UnsettledRawDays"]["MaxValue"]


def test_an_unsettled_raw_object_is_told_after_the_settled_are_gone_and_long_before_it_is(template: dict[str, Any]) -> None:
    sweep = read_template((TEMPLATE.parent / "functions-ingest-router.merge.yaml").read_text())["Parameters"]
    told_after = sweep["UnsettledSeconds"]["Default"]
    [objective] = [known for known in objectives() if known.name == "unsettled-objects"]

    days = {name: template["Parameters"][name]["Default"] for name in ("SettledRawDays", "UnsettledRawDays")}
    assert days["SettledRawDays"] + LIFECYCLE_DAYS < told_after / 86_400 < days["UnsettledRawDays"] / 2
    assert {objective.threshold[environment] for environment in ("dev", "staging", "prod")} == {told_after}


def test_markers_that_hide_nothing_go_from_every_bucket_that_keeps_versions_of_deleted_objects(template: dict[str, Any]) -> None:
    buckets = {name: entry["Properties"] for name, entry in template["Resources"].items() if entry["Type"] == "AWS::S3::Bucket"}
    rules = [rule for bucket in buckets.values() for rule in bucket["LifecycleConfiguration"]["Rules"] if rule["Id"] == "old-versions"]

    assert len(rules) == 4
    assert all(rule["ExpiredObjectDeleteMarker"] for rule in rules)


def test_the_alarm_on_lost_batches_counts_the_objects_that_firehose_puts_there(template: dict[str, Any]) -> None:
    [objective] = [known for known in objectives() if known.name == "lost-batches"]

    assert template["Resources"]["Stage"]["Properties"]["MetricsConfigurations"] == [
        {"Id": objective.dimensions["FilterId"], "Prefix": "errors/processing-failed/"}
    ]
