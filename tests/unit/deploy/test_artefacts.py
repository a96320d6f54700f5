"""Each artefact holds what it imports: no module of the project is found but in it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml

from datamaster.aws.deploy.artifacts import job_objects
from datamaster.aws.deploy.layers import LAYERS, build_layer
from datamaster.aws.deploy.package import APPS, package_app

ROOT = Path(__file__).resolve().parents[3]
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
SITE_PACKAGES = sysconfig.get_path("purelib")
LAMBDA_BRINGS = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py")
"""Lambda's Python runtimes hold the AWS SDK: https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html"""
RESOLVE = """
import importlib, sys
sys.path[:0] = sys.argv[1].split(":")
for name in sys.argv[2:]:
    module, _, attribute = name.partition(":")
    found = importlib.import_module(module)
    assert callable(getattr(found, attribute)), name
"""


def resolve(path: list[Path | str], names: list[str]) -> None:
    """Import ``module:attribute`` with nothing but ``path`` and the standard library; ``-S`` keeps the editable install away."""
    command = [sys.executable, "-I", "-S", "-c", RESOLVE, ":".join(map(str, path)), *names]
    ran = subprocess.run(command, env={"AWS_DEFAULT_REGION": "us-east-1"}, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def handlers(template: Path) -> list[str]:
    """The handlers of a packaged app, each as module:function."""
    resources = yaml.safe_load(template.read_text())["Resources"].values()
    found = [entry["Properties"]["Handler"] for entry in resources if entry.get("Type") == "AWS::Serverless::Function"]
    assert found
    return [":".join(handler.rsplit(".", 1)) for handler in found]


@pytest.mark.parametrize("app", APPS)
def test_a_function_finds_its_handler_in_its_own_package(app: str, tmp_path: Path) -> None:
    package = package_app(app, tmp_path)

    resolve([package.code, SITE_PACKAGES], handlers(package.template))


@pytest.mark.slow
def test_every_function_finds_its_handler_with_its_layers_alone(tmp_path: Path) -> None:
    layers: list[Path | str] = [build_layer(name, tmp_path, RUNNING).archive.with_suffix("") / "python" for name in LAYERS]
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    for name in LAMBDA_BRINGS:
        (runtime / name).symlink_to(Path(SITE_PACKAGES) / name)
    for app in APPS:
        package = package_app(app, tmp_path)
        resolve([package.code, *layers, runtime], handlers(package.template))


def test_a_job_finds_its_main_in_the_jobs_archive(tmp_path: Path) -> None:
    objects = job_objects(tmp_path)
    for key, content in objects.items():
        (tmp_path / key.rsplit("/", 1)[-1]).write_bytes(content)
    entries = [Path(key).stem for key in objects if key.endswith(".py")]

    assert {"bronze_to_silver", "silver_to_gold", "maintenance"} <= set(entries)
    resolve([tmp_path, tmp_path / "jobs.zip", SITE_PACKAGES], [f"{name}:main" for name in entries])


def test_the_image_finds_both_commands_in_what_its_last_stage_copies(tmp_path: Path) -> None:
    dockerfile = (ROOT / "converter" / "Dockerfile").read_text()
    stage = dockerfile[dockerfile.rindex("\nFROM ") :]
    for name, target in re.findall(r"^COPY (?!--from)(\S+) (\S+)$", stage, re.MULTILINE):
        shutil.copytree(ROOT / name, tmp_path / target, ignore=shutil.ignore_patterns("__pycache__"))

    resolve([tmp_path, SITE_PACKAGES], ["convert.container:main", "export.task:main"])


def test_a_package_that_lacks_a_module_is_seen(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("from ingest.door import app\n")

    with pytest.raises(AssertionError, match="No module named 'ingest'"):
        resolve([tmp_path, SITE_PACKAGES], ["app:app"])
