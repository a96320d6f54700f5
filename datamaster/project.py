"""The places of the project's files: templates, apps, contracts."""

from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parents[1]


def demo_contracts() -> Path:
    """The folder of the demo's contracts and derived tables, as the laptop's environment names it."""
    return PROJECT / str(yaml.safe_load((PROJECT / "environments" / "local.yaml").read_text())["contracts"])
