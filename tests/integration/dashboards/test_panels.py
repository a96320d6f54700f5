"""Every panel's query runs, on gold that the road built, on a cost report, on metrics that the road emitted. None is empty."""

from __future__ import annotations

import time

import pytest

from datamaster.aws.dashboards.made_files import stored
from datamaster.aws.dashboards.panel_check import check
from datamaster.aws.dashboards.queries import panels
from datamaster.cli import run
from lake.metrics_catalogue import BY_NAME, NAMESPACE

pytestmark = pytest.mark.integration
PATIENCE_SECONDS = 90


@pytest.fixture(scope="module")
def checked(lake, athena, cloudwatch, report):
    """Every panel of every dashboard, once the metrics of the road have come."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = check(stored(), athena, cloudwatch)
        if all(one.good for one in found) or time.monotonic() > deadline:
            return found
        time.sleep(3)


@pytest.mark.parametrize(("name", "title"), [(name, panel["title"]) for name, made in stored().items() for panel in panels(made)])
def test_a_panel_shows_something(name, title, checked):
    fixed = title.partition("$")[0]
    found = [one for one in checked if one.dashboard == name and one.panel.startswith(fixed)]

    assert found
    assert [(one.panel, one.problem or "empty") for one in found if not one.good] == []


def test_the_list_of_panels_covered(checked, capsys):
    with capsys.disabled():
        print(f"\n{len(checked)} panels run, {sum(one.good for one in checked)} show something")
        for one in checked:
            print(f"  {one.dashboard:<10} {one.panel:<48} {one.found:>6} {one.problem or ('' if one.good else 'EMPTY')}")

    assert len(checked) == sum(1 for made in stored().values() for _ in panels(made))


def test_costs_add_up_to_the_report(checked, athena, report):
    [[total]] = athena.run("SELECT round(sum(line_item_unblended_cost), 2) FROM dm_costs.cur2").rows

    assert float(total) == pytest.approx(report, abs=0.01)


def test_a_broken_query_is_named_with_athenas_reason_and_where_to_correct_it(lake, monkeypatch, capsys):
    broken = stored()["analytics"]
    [panel] = [panel for panel in panels(broken) if panel["title"] == "Top drinkers"]
    panel["targets"][0]["rawSQL"] = "SELECT profile_nmae FROM dm_gold.top_drinkers"
    monkeypatch.setattr("datamaster.aws.dashboards.made_files.stored", lambda: {"analytics": broken})

    assert run(["dashboards", "check", "--home", str(lake.home)]) == 1

    told = capsys.readouterr()
    [line] = [line for line in told.out.splitlines() if "Top drinkers" in line]
    assert "query A: " in line
    assert "profile_nmae" in told.out
    assert "show nothing; correct their query in datamaster/aws/dashboards/analytics.py" in " ".join(told.err.split())


def test_a_panel_without_rows_is_told(athena, cloudwatch):
    empty = stored()["analytics"]
    [panel] = [panel for panel in panels(empty) if panel["title"] == "Top drinkers"]
    panel["targets"][0]["rawSQL"] = "SELECT * FROM dm_gold.top_drinkers WHERE review_year = 1066"

    assert [one.panel for one in check({"analytics": empty}, athena, cloudwatch) if not one.good] == ["Top drinkers"]


def test_the_road_emits_only_what_the_catalogue_lists(checked, cloudwatch):
    pages = cloudwatch.get_paginator("list_metrics").paginate(Namespace=NAMESPACE)
    emitted = {
        (metric["MetricName"], tuple(sorted(d["Name"] for d in metric["Dimensions"]))) for page in pages for metric in page["Metrics"]
    }

    assert emitted
    assert {name for name, _ in emitted} <= set(BY_NAME)
    assert [found for found in sorted(emitted) if found[1] != tuple(sorted(BY_NAME[found[0]].dimensions))] == []
