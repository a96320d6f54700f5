"""Runs schemathesis with all of its checks against an API."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.conftest import require

HERE = Path(__file__).resolve().parent


def schemathesis(url: str, openapi: Mapping[str, Any], folder: Path, hooks: str, *options: str) -> None:
    """Run it against ``url``. Every check has to pass, for every operation."""
    require(importlib.util.find_spec("schemathesis") is not None, "schemathesis (make setup)")
    (folder / "openapi.json").write_text(json.dumps(openapi))
    command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(HERE / "schemathesis.toml"), "run"]
    run = subprocess.run(
        [*command, str(folder / "openapi.json"), "--url", url, "--seed", "1", *options],
        cwd=folder,
        env=os.environ | {"SCHEMATHESIS_HOOKS": hooks, "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    count = sum(map(len, openapi["paths"].values()))
    assert f"Selected: {count}/{count}" in run.stdout, run.stdout
