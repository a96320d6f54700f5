"""What lies in clear in the stage bucket is gone after 30 days, whatever became of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cfn_tools import load_yaml

TEMPLATE = Path(__file__).resolve().parents[3] / "templates" / "storage.yaml"
CLEAR_DAYS = 30


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    loaded: dict[str, Any] = load_yaml(TEMPLATE.read_text())
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
