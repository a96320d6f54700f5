"""Lambda enters every function through its app: only there is the middleware that logs request ids and flushes metrics."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from datamaster.aws.deploy.package import APPS, package_app

LOOK = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
found = {}
for handler in sys.argv[2:]:
    module, name = handler.rsplit(".", 1)
    found[handler] = sum(1 for _ in getattr(importlib.import_module(module), name).middleware_handlers)
print(json.dumps(found))
"""


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms as what they stand for."""


Loader.add_multi_constructor("!", lambda loader, tag, node: f"{tag} {node.value}")


@pytest.mark.parametrize("app", APPS)
def test_every_packaged_function_runs_within_the_apps_middleware(app, tmp_path: Path) -> None:
    package = package_app(app, tmp_path)
    resources = yaml.load(package.template.read_text(), Loader)["Resources"].values()
    handlers = [part["Properties"]["Handler"] for part in resources if part["Type"] == "AWS::Serverless::Function"]

    looked = subprocess.run([sys.executable, "-I", "-c", LOOK, package.code, *handlers], capture_output=True, text=True, cwd=tmp_path)

    assert looked.returncode == 0, looked.stderr
    assert {handler: count >= 2 for handler, count in json.loads(looked.stdout).items()} == dict.fromkeys(handlers, True)
    assert all(handler.startswith("app.") for handler in handlers)
