"""dm dashboards push and diff against a stand-in for Grafana (grafana_server.py); the token lies in the emulator's Secrets Manager."""

from __future__ import annotations

import boto3
import pytest

from datamaster.aws.dashboards.grafana import DashboardScope, Grafana, GrafanaRefused, GrafanaUnreachable, NoToken, token
from datamaster.aws.dashboards.made_files import stored
from datamaster.cli import run
from tests.integration.grafana.grafana_server import GrafanaServer

pytestmark = pytest.mark.integration
PLACE = DashboardScope("prod", "eu-west-1", "123456789012", "dm-lake-prod")


@pytest.fixture
def server():
    running = GrafanaServer("good-token")
    yield running
    running.stop()


@pytest.fixture
def grafana(server):
    return Grafana(server.url, "good-token", "dm-grafana-prod")


@pytest.fixture(scope="module")
def secrets(emulator):
    return boto3.client("secretsmanager")


def test_a_first_push_brings_folder_sources_and_all_dashboards(server, grafana):
    grafana.push(PLACE, stored())

    assert sorted(server.dashboards) == ["dm-analytics", "dm-costs", "dm-health"]
    assert {found["meta"]["folderUid"] for found in server.dashboards.values()} == {"dm"}
    assert server.refused == []
    assert {uid: source["type"] for uid, source in server.sources.items()} == {
        "dm-athena": "grafana-athena-datasource",
        "dm-cloudwatch": "cloudwatch",
    }
    assert server.sources["dm-athena"]["jsonData"]["workgroup"] == "dm-lake-prod"
    assert server.sources["dm-cloudwatch"]["jsonData"]["defaultRegion"] == "eu-west-1"


def test_a_dashboard_opens_on_the_environment_it_was_pushed_for(server, grafana):
    grafana.push(PLACE, stored())

    shown = {v["name"]: v["current"]["value"] for v in server.dashboards["dm-health"]["dashboard"]["templating"]["list"]}

    assert shown == {"environment": "prod", "region": "eu-west-1", "account": "123456789012"}


def test_a_second_push_writes_nothing(server, grafana):
    grafana.push(PLACE, stored())
    server.writes.clear()

    assert grafana.push(PLACE, stored()) == []
    assert server.writes == []


def test_only_what_somebody_changed_is_written_again(server, grafana):
    grafana.push(PLACE, stored())
    server.writes.clear()
    server.dashboards["dm-costs"]["dashboard"]["panels"][1]["title"] = "Mine"

    [change] = grafana.diff(PLACE, stored())
    grafana.push(PLACE, stored())

    assert (change.kind, change.name, change.paths) == ("dashboard", "Data Master: costs", ("panels[1].title",))
    assert server.writes == ["/api/dashboards/db"]
    assert grafana.diff(PLACE, stored()) == []


def test_a_source_that_was_changed_by_hand_is_put_right(server, grafana):
    grafana.push(PLACE, stored())
    server.sources["dm-athena"]["jsonData"] = {"authType": "keys"}

    grafana.push(PLACE, stored())

    assert server.sources["dm-athena"]["jsonData"]["authType"] == "default"


def test_a_dashboard_that_grafana_would_not_keep_whole_is_refused_with_the_place(server, grafana):
    broken = stored()
    broken["costs"]["panels"][1]["tytle"] = "Monthly cost"

    with pytest.raises(GrafanaRefused, match=r"refused: bad dashboard: .panels\[1\].tytle: 'Monthly cost' became None"):
        grafana.push(PLACE, broken)


def test_a_push_that_was_cut_short_is_finished_by_the_next(server, grafana, monkeypatch):
    broken = stored()
    broken["costs"]["title"] = ""
    with pytest.raises(GrafanaRefused, match="title cannot be empty"):
        grafana.push(PLACE, broken)

    grafana.push(PLACE, stored())

    assert sorted(server.dashboards) == ["dm-analytics", "dm-costs", "dm-health"]
    assert grafana.diff(PLACE, stored()) == []


def test_an_expired_token_is_told_with_the_command_that_stores_another(server):
    with pytest.raises(GrafanaRefused, match=r"does not accept the token .*put-secret-value --secret-id dm-grafana-prod"):
        Grafana(server.url, "expired", "dm-grafana-prod").push(PLACE, stored())

    assert server.writes == []


def test_a_token_without_the_right_is_told_what_it_needs(server, grafana):
    server.status = 403
    with pytest.raises(GrafanaRefused, match="give its service account the role Editor and rights on data sources"):
        grafana.push(PLACE, stored())


def test_a_grafana_that_cannot_work_is_out_of_reach(server, grafana):
    server.status = 503
    with pytest.raises(GrafanaUnreachable, match="cannot work now"):
        grafana.diff(PLACE, stored())


def test_a_grafana_that_is_not_there_is_out_of_reach():
    with pytest.raises(GrafanaUnreachable, match="does not answer"):
        Grafana("http://127.0.0.1:1", "x", "s").diff(PLACE, stored())


def test_the_token_is_read_from_secrets_manager_plain_or_as_json(secrets):
    secrets.create_secret(Name="plain", SecretString="abc\n")
    secrets.create_secret(Name="json", SecretString='{"token": "abc"}')

    assert token("plain") == token("json") == "abc"


def test_a_secret_without_a_token_is_told_with_the_command_that_stores_one(secrets):
    secrets.create_secret(Name="empty", SecretString="{}")

    with pytest.raises(NoToken, match="put-secret-value --secret-id empty"):
        token("empty")
    with pytest.raises(NoToken, match='secret "absent" cannot be read'):
        token("absent")


def test_a_command_without_credentials_says_what_to_set(server, monkeypatch, tmp_path, capsys):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))

    assert run(["dashboards", "diff", "--url", server.url, "--env", "prod"]) == 3
    assert "aws sso login" in " ".join(capsys.readouterr().err.split())


def test_the_commands_push_and_diff_tell_by_their_exit_code(server, secrets, capsys):
    secrets.create_secret(Name="dm-grafana-prod", SecretString="good-token")
    words = ["--url", server.url, "--env", "prod"]

    assert run(["dashboards", "diff", *words]) == 1
    assert run(["dashboards", "push", *words]) == 0
    assert run(["dashboards", "diff", *words]) == 0
    assert "everything as it should be" in capsys.readouterr().out
