"""A cold start pays for what it imports: little, and no client of AWS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
IMPORT_SECONDS = 0.6

CODE = """
import json, sys, time
began = time.process_time()
import app
print(json.dumps({"seconds": time.process_time() - began, "boto3": "boto3" in sys.modules}))
"""


def imported() -> dict[str, float]:
    environment = {"PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": "us-east-1"}
    run = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT / "converter", env=environment, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(run.stdout)
    return found


def test_the_app_is_imported_in_six_tenths_of_a_second_without_settings_or_clients() -> None:
    tries = [imported() for _ in range(3)]

    assert min(found["seconds"] for found in tries) <= IMPORT_SECONDS
    assert not tries[0]["boto3"]
