"""The dashboards' files: what code makes, valid by Grafana's own model, and at least what the promise names."""

from __future__ import annotations

import json
import re

import pytest

from datamaster.aws.dashboards.made_files import contents, dashboards, stored
from datamaster.aws.dashboards.queries import UnknownVariable, panels, put_in, queries
from lake.metrics_catalogue import BY_NAME, NAMESPACE
from tests.unit.dashboards.grafana_model import lost_of_dashboard, lost_of_targets

ALL = sorted(dashboards())
VALUES = {"year": ["2012"], "month": ["1", "2"], "state": ["CA"], "period": ["2026-01", "2026-02"]}
VALUES |= {"environment": ["local"], "region": ["us-east-1"], "account": ["000000000000"]}
PROMISED = {
    "analytics": ["Top 10 beers by rating", "Top 10 breweries by rating", "Review volume by state", "Popular styles", "Top drinkers"],
    "health": ["Lambda: Invocations", "Lambda: Errors", "executions succeeded", "executions failed", "EMR: jobs succeeded",
               "EMR: jobs failed",
               "Fargate", "DMS", "Kinesis", "Firehose", "SQS", "Control table: files by status", "Tables: age"],
    "costs": ["Monthly cost by service", "Monthly cost by stack", "Detail by item type", "Daily cost", "Cumulative cost of the month"],
}  # fmt: skip


def test_every_written_file_is_what_code_and_objectives_make():
    stale = [str(path) for path, text in contents().items() if not path.exists() or path.read_text() != text]

    assert stale == [], "write them anew: python -m datamaster.aws.dashboards"


@pytest.mark.parametrize("name", ALL)
def test_grafanas_model_takes_a_dashboard_and_gives_it_back_whole(name):
    assert lost_of_dashboard(stored()[name]) == []


@pytest.mark.parametrize("name", ALL)
def test_every_target_is_a_query_of_its_data_sources_model(name):
    assert lost_of_targets(stored()[name]) == []


def test_the_model_names_what_grafana_would_drop():
    broken = stored()["costs"]
    broken["panels"][1]["tytle"] = "Monthly cost"
    broken["panels"][1]["targets"][0]["rawSql"] = "SELECT 1"

    sql = ".rawSql: 'SELECT 1' became None"
    assert lost_of_dashboard(broken) == [f".panels[1].targets[0]{sql}", ".panels[1].tytle: 'Monthly cost' became None"]
    assert lost_of_targets(broken) == [f"{broken['panels'][1]['title']}: {sql}"]


@pytest.mark.parametrize("name", ALL)
def test_a_dashboard_has_the_panels_that_are_promised(name):
    titles = [panel["title"] for panel in panels(stored()[name])]

    assert [word for word in PROMISED[name] if not any(word in title for title in titles)] == []


@pytest.mark.parametrize("name", ALL)
def test_panels_have_their_own_id_and_place(name):
    placed = stored()[name]["panels"]

    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in placed)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert len({panel["id"] for panel in placed}) == len(placed)
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize("name", ALL)
def test_every_variable_of_a_query_is_the_dashboards_own(name):
    given = stored()[name]
    own = {variable["name"] for variable in given["templating"]["list"]}

    filled = list(queries(given, {key: VALUES[key] for key in own}))

    assert filled
    assert not [query for query in filled if re.search(r"\$\{?(?!PROP)[a-z]", json.dumps(query.target))]


def test_a_metric_of_ours_on_a_dashboard_is_in_the_catalogue_with_its_dimensions():
    for panel in panels(stored()["health"]):
        for target in panel["targets"]:
            if target["namespace"] == NAMESPACE:
                assert sorted(target["dimensions"]) == sorted(BY_NAME[target["metricName"]].dimensions), panel["title"]


def test_variables_are_put_in_as_grafana_does():
    values = {"month": ["1", "2"], "name": ["O'Hara"], "one": ["x"]}

    assert put_in("IN (${month:csv})", values) == "IN (1,2)"
    assert put_in("IN (${name:singlequote})", values) == "IN ('O\\'Hara')"
    assert put_in("$one ${one} ${__data.fields.state} ${PROP('Dim.table')}", values) == "x x ${__data.fields.state} ${PROP('Dim.table')}"


def test_an_unknown_variable_is_named_with_the_known():
    with pytest.raises(UnknownVariable, match=r'variable "yaer" is not one of the dashboard\'s: month, year'):
        put_in("review_year = ${yaer}", {"year": ["1"], "month": ["2"]})
