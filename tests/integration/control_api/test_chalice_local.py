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
import yaml

from datamaster.laptop.exports import exports
from datamaster.laptop.process import free_port
from datamaster.laptop.state import State
from lake.control import ControlTable, NewFile
from tests.integration.control_api.schemathesis_runs import schemathesis

pytestmark = pytest.mark.integration
HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
OPENAPI = yaml.safe_load((ROOT / "control-api" / "openapi.yaml").read_text())


def eventually(url):
    for _ in range(150):
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.URLError:
            time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")


@pytest.fixture(scope="module")
def local_api(stacks):
    """The documented command, serving the API of the checkout; its address."""
    command = re.search(r"\.venv/bin/(chalice local .*) --port 8000", (ROOT / "docs/control-api.md").read_text())[1]
    port = str(free_port())
    names = {
        "CONTROL_TABLE": stacks["control"]["TableName"],
        "CONTRACTS_URI": f"s3://{stacks['storage']['ArtifactsBucket']}/contracts/",
        "STAGE_BUCKET": stacks["storage"]["StageBucket"],
        "STREAM_ARN": "arn:aws:kinesis:us-east-1:000000000000:stream/none",
    }
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("chalice")), *command.split()[1:], "--port", port],
        cwd=ROOT / "control-api",
        env=os.environ | names | {"PYTHONDONTWRITEBYTECODE": "1"},
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def test_the_documented_command_serves_the_api_of_the_checkout(local_api):
    assert eventually(f"{local_api}/files?table=nothing") == {"files": [], "cursor": None}


def test_no_input_ends_in_a_failure_or_in_an_answer_that_is_not_described(local_api, stacks, tmp_path):
    eventually(f"{local_api}/files")
    for name in "abc":
        failed = NewFile("stage", f"raw/beer/{name}.gz", "v1", "etag", "beer", "json", 10)
        ControlTable(stacks["control"]["TableName"]).files.register_failed(failed, "NotGzip", "no gzip member at byte 0")
    # Chalice's local server checks no signature.
    unsigned = {name: part for name, part in OPENAPI.items() if name != "security"}

    schemathesis(local_api, unsigned, tmp_path, "schemathesis_hooks")


def test_the_platforms_variables_are_shell_lines():
    texts = dict.fromkeys(State.__dataclass_fields__, "")
    running = State(**texts | {"environment": {"B": "it's $HOME", "A": "1"}})
    script = exports(running) + 'printf \'%s|%s\' "$A" "$B"'
    assert subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout == "1|it's $HOME"
