"""Image and archive: named by what goes into them, made once, pushed before the stacks that name them. A script stands for Docker."""

from __future__ import annotations

import json
import re
import shlex
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from datamaster.aws.cloudformation.rendering import Template
from datamaster.aws.deploy import deployment, docker
from datamaster.aws.deploy.docker import DockerFailed, Made, names, push_archive, push_image, repository_uri
from datamaster.aws.deploy.environments import load_environment
from datamaster.aws.deploy.spark_submit import INTERPRETER, PYTHON_VERSION
from datamaster.aws.deploy.watch import UNWATCHED
from datamaster.project import PROJECT

REGISTRY = "000000000000.dkr.ecr.us-east-1.amazonaws.com"
MADE = Made(f"{REGISTRY}/dm-converter-dev", "abc", "dm-artifacts-dev", "emr-environment/abc.tar.gz")
IMAGE = {"repositoryName": "dm-converter-dev", "imageIds": [{"imageTag": "abc"}]}
ARCHIVE = {"Bucket": "dm-artifacts-dev", "Key": "emr-environment/abc.tar.gz"}
DEV = load_environment("dev").with_variables({"image_tag": "abc", "spark_environment": ARCHIVE["Key"]})

SCRIPT = """#!/bin/sh
printf '%s\\n' "$*" >>{log}
case $1 in
    login) cat >>{log}; echo >>{log} ;;
    buildx) echo '"sha256:0123"' ;;
    run) touch {build}/environment.tar.gz ;;
    version) if [ -e {broken} ]; then echo 'Cannot connect to the Docker daemon' >&2; exit 1; fi ;;
    push) if [ -e {broken} ]; then echo 'denied: no basic auth credentials' >&2; exit 1; fi ;;
esac
"""


class Account:
    """ECR and S3 as they answer, and what Docker was told."""

    def __init__(self, home: Path) -> None:
        keys = {"region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
        self.ecr, self.s3 = boto3.client("ecr", **keys), boto3.client("s3", **keys)
        self.images, self.objects = Stubber(self.ecr), Stubber(self.s3)
        self.log, self.broken, self.build = home / "log", home / "broken", home / "build"

    def has(self, image: bool, archive: bool) -> None:
        if image:
            self.images.add_response("describe_images", {"imageDetails": []}, IMAGE)
        else:
            self.images.add_client_error("describe_images", "ImageNotFoundException", expected_params=IMAGE)
        if archive:
            self.objects.add_response("head_object", {}, ARCHIVE)
        else:
            self.objects.add_client_error("head_object", "404", expected_params=ARCHIVE)

    def lets_in(self) -> None:
        token = b64encode(b"AWS:secret").decode()
        self.images.add_response("get_authorization_token", {"authorizationData": [{"authorizationToken": token}]})

    @property
    def told(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    found = Account(tmp_path)
    found.build.mkdir()
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "docker"
    quoted = {name: shlex.quote(str(getattr(found, name))) for name in ("log", "broken", "build")}
    script.write_text(re.sub(r"\{(\w+)\}", lambda match: quoted[match[1]], SCRIPT))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    with found.images, found.objects:
        yield found
        found.images.assert_no_pending_responses()
        found.objects.assert_no_pending_responses()


def test_the_names_follow_what_goes_in_and_nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    before = names(load_environment("dev"))

    assert names(load_environment("dev")) == before
    assert names(load_environment("prod")) == before
    assert names(load_environment("dev").with_variables({"architecture": "arm64"})).items().isdisjoint(before.items())
    lock = tmp_path / "requirements.lock"
    lock.write_text("pyarrow==0.0.1\n")
    monkeypatch.setattr(docker, "LOCK", lock)
    changed = names(load_environment("dev"))
    assert changed["spark_environment"] != before["spark_environment"]
    assert changed["image_tag"] == before["image_tag"]
    monkeypatch.setattr(docker, "image_sources", lambda: iter([PROJECT / "README.md"]))
    assert names(load_environment("dev"))["image_tag"] != before["image_tag"]


def test_a_tag_of_the_operators_own_is_kept():
    assert names(load_environment("dev").with_variables({"image_tag": "v1"}))["image_tag"] == "v1"


def test_the_images_name_covers_each_file_that_the_dockerfile_copies():
    found = {path.relative_to(PROJECT).as_posix() for path in docker.image_sources()}

    assert {
        "converter/Dockerfile",
        "converter/convert/container.py",
        "converter/requirements-image.txt",
        "lake/cdc.py",
        "lake/privacy/masks.py",
    } <= found
    assert not {name for name in found if name.endswith(".pyc")}


def test_image_and_archive_lie_where_the_stacks_look_for_them():
    [repository] = Template(PROJECT / "templates" / "ingestion.yaml", {"Environment": "dev"}).of_type("AWS::ECR::Repository").values()
    jobs = (PROJECT / "templates" / "processing-emr.yaml").read_text()

    assert repository["RepositoryName"] == docker.name_of(MADE.repository)
    assert "/emr-environment/*" in jobs
    assert names(load_environment("dev"))["spark_environment"].startswith("emr-environment/")


def test_docker_is_there_where_its_daemon_answers(account: Account, monkeypatch: pytest.MonkeyPatch):
    assert docker.available()
    account.broken.touch()
    assert not docker.available()
    monkeypatch.setenv("PATH", "/nowhere")
    assert not docker.available()


@pytest.mark.parametrize("there", [True, False])
def test_what_nobody_pushed_yet_is_told(account: Account, there: bool):
    account.has(image=there, archive=there)

    absent = MADE.absent(account.ecr, account.s3)

    assert absent == ([] if there else ["image dm-converter-dev:abc", "s3://dm-artifacts-dev/emr-environment/abc.tar.gz"])


def test_the_image_is_built_from_its_bases_by_digest_and_pushed(account: Account):
    account.lets_in()

    push_image(account.ecr, MADE, "arm64")

    login, password, *looked_up, build, push = account.told
    assert (login, password) == (f"login --username AWS --password-stdin {REGISTRY}", "secret")
    assert [line.split()[3] for line in looked_up] == ["python:3.12-slim", "rust:1.89-slim"]
    assert build.startswith(f"build --platform linux/arm64 --file {PROJECT}/converter/Dockerfile ")
    assert "--build-arg PYTHON_IMAGE=python@sha256:0123 --build-arg RUST_IMAGE=rust@sha256:0123" in build
    assert build.endswith(f"--tag {REGISTRY}/dm-converter-dev:abc {PROJECT}")
    assert push == f"push {REGISTRY}/dm-converter-dev:abc"


def test_what_docker_complains_of_is_told_with_the_next_step(account: Account):
    account.lets_in()
    account.broken.touch()

    with pytest.raises(DockerFailed, match="docker push: denied: no basic auth credentials\nNext: "):
        push_image(account.ecr, MADE, "x86_64")


def test_the_archive_holds_the_jobs_libraries_in_the_versions_of_the_lock(account: Account):
    account.objects.add_response("put_object", {}, None)

    push_archive(account.s3, MADE, "x86_64", account.build)

    told = "\n".join(account.told)
    assert f"--volume {account.build}:/build --volume {PROJECT}/requirements.lock:/requirements.lock:ro amazonlinux:2023 bash -ec" in told
    assert "pip install --quiet --constraint /requirements.lock boto3 msgspec orjson PyYAML pyarrow 'pyiceberg[glue]' tenacity" in told


def test_the_archives_interpreter_lies_where_the_jobs_are_told_and_needs_none_beside_it():
    """It is built into the folder that is packed, not made as a virtual environment of another one."""
    assert INTERPRETER == "./environment/bin/python"
    assert f"ln -s python{PYTHON_VERSION} /environment/bin/python" in docker.RECIPE
    assert "--prefix=/environment\n" in docker.RECIPE
    assert f"tar -C /environment -czf /build/{docker.PACKED} ." in docker.RECIPE
    assert "venv" not in docker.RECIPE


@pytest.mark.parametrize("repository", [True, False])
def test_they_are_pushed_before_the_stacks_that_name_them(account: Account, repository: bool, monkeypatch: pytest.MonkeyPatch):
    """In a new account the stack of the image's repository comes first."""
    done: list[Any] = []
    described = {"repositories": [{"repositoryUri": MADE.repository}]}
    if repository:
        account.images.add_response("describe_repositories", described, {"repositoryNames": ["dm-converter-dev"]})
    else:
        account.images.add_client_error("describe_repositories", "RepositoryNotFoundException")
    account.has(image=False, archive=False)
    monkeypatch.setattr(boto3, "client", lambda name, **_options: {"ecr": account.ecr, "s3": account.s3}[name])
    monkeypatch.setattr(docker, "push_image", lambda _ecr, made, _architecture: done.append(made))
    monkeypatch.setattr(docker, "push_archive", lambda _s3, made, _architecture, _build: done.append(made))

    def launch(_environment: object, stacks: list[str], **_options: object) -> dict[str, dict[str, str]]:
        done.append(stacks)
        return {"ingestion": {"RepositoryUri": MADE.repository}}

    monkeypatch.setattr(deployment, "launch", launch)

    launched = deployment.made_by_docker(DEV, {"storage": {"ArtifactsBucket": "dm-artifacts-dev"}}, account.build, UNWATCHED)

    assert done == [*([] if repository else [["ingestion"]]), MADE, MADE]
    assert list(launched) == ([] if repository else ["ingestion"])


def test_what_is_there_is_not_made_again(account: Account, monkeypatch: pytest.MonkeyPatch):
    described = {"repositories": [{"repositoryUri": MADE.repository}]}
    account.images.add_response("describe_repositories", described, {"repositoryNames": ["dm-converter-dev"]})
    account.has(image=True, archive=True)
    monkeypatch.setattr(boto3, "client", lambda name, **_options: {"ecr": account.ecr, "s3": account.s3}[name])

    deployment.made_by_docker(DEV, {"storage": {"ArtifactsBucket": "dm-artifacts-dev"}}, account.build, UNWATCHED)

    assert account.told == []


def test_a_repository_that_is_not_there_is_none(account: Account):
    account.images.add_client_error("describe_repositories", "RepositoryNotFoundException")

    assert repository_uri(account.ecr, "dm-converter-dev") is None


def test_the_dry_run_names_the_image(capsys: pytest.CaptureFixture[str]):
    from datamaster.cli import run

    assert run(["deploy", "--env", "dev", "--stack", "ingestion", "--dry-run", "--json"]) == 0

    shown = {stack["stack"]: stack for stack in json.loads(capsys.readouterr().out)}
    assert shown["ingestion"]["parameters"]["ImageTag"] == names(load_environment("dev"))["image_tag"]


def test_the_jobs_interpreter_is_installed_by_one_process_without_its_tests():
    built, installed = (line for line in docker.RECIPE.splitlines() if line.startswith("make "))

    assert "--jobs" in built
    assert installed == "make --silent install"
    assert "--enable-optimizations" not in docker.RECIPE
    assert re.search(r"^cd /environment/lib/python3\.11 && rm -rf .*\btest\b", docker.RECIPE, re.MULTILINE)
