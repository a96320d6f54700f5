"""Who may call the deployed API: signature and policy are checked by the emulator, as on AWS."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request

import boto3
import pytest

from datamaster.deploy import deploy
from datamaster.files import ApiRefused, list_files, list_tables
from datamaster.local.emulator import start_emulator

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """The API deployed on an emulator that authorises; the address of its stage, and its ARN."""
    folder = tmp_path_factory.mktemp("authorised")
    with start_emulator(folder / "emulator", authorize=True) as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        deployment = deploy("local", build=folder / "build")
        identity = deployment.outputs["control-api"]["ApiId"]
        patch.setenv("DM_API_URL", f"{running.endpoint}/restapis/{identity}/v1/_user_request_")
        yield f"arn:aws:execute-api:us-east-1:000000000000:{identity}/v1"


@pytest.fixture
def caller(api, monkeypatch):
    """Become a new user who may do what ``resources`` of the API allow."""

    def become(name, *resources):
        iam = boto3.client("iam")
        iam.create_user(UserName=name)
        if resources:
            statement = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": [f"{api}/{resource}" for resource in resources]}
            iam.put_user_policy(
                UserName=name, PolicyName="api", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            )
        key = iam.create_access_key(UserName=name)["AccessKey"]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    return become


def test_an_unsigned_request_is_refused(api):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{os.environ['DM_API_URL']}/files")
    assert refused.value.code == 403


def test_a_wrong_secret_is_refused(caller, monkeypatch):
    caller("forger", "GET/files")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "guessed")
    with pytest.raises(ApiRefused, match="signature") as refused:
        list_files()
    assert refused.value.status == 403


def test_a_caller_without_the_right_is_refused(caller):
    caller("stranger")
    with pytest.raises(ApiRefused, match="not authorized to perform: execute-api:Invoke"):
        list_files()


def test_a_right_on_one_route_is_a_right_on_no_other(caller):
    caller("reader", "GET/files")
    assert list_files() == []
    with pytest.raises(ApiRefused, match="not authorized"):
        list_tables()
