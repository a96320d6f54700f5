"""The way to develop the API that docs/control-api.md tells."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from datamaster.laptop.exports import exports
from datamaster.laptop.process import free_port
from datamaster.laptop.state import State

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[3]


def eventually(url):
    for _ in range(150):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.load(answer)
        except urllib.error.URLError:
            time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")


def test_the_documented_command_serves_the_api_of_the_checkout(stacks):
    command = re.search(r"\.venv/bin/(chalice local .*) --port 8000", (ROOT / "docs/control-api.md").read_text())[1]
    port = str(free_port())
    names = {"CONTROL_TABLE": stacks["control"]["TableName"], "CONTRACTS_URI": f"s3://{stacks['storage']['ArtifactsBucket']}/contracts/"}
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("chalice")), *command.split()[1:], "--port", port],
        cwd=ROOT / "control-api",
        env=os.environ | names | {"PYTHONDONTWRITEBYTECODE": "1"},
        stderr=subprocess.DEVNULL,
    )
    try:
        assert eventually(f"http://127.0.0.1:{port}/files?table=nothing") == {"files": [], "cursor": None}
    finally:
        process.terminate()
        process.wait(10)


def test_the_platforms_variables_are_shell_lines():
    texts = dict.fromkeys(State.__dataclass_fields__, "")
    running = State(**texts | {"environment": {"B": "it's $HOME", "A": "1"}})
    script = exports(running) + 'printf \'%s|%s\' "$A" "$B"'
    assert subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout == "1|it's $HOME"
