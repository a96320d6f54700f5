"""Where the project's files lie: templates, apps, contracts."""

from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parents[1]


def demo_contracts() -> Path:
    """The folder of the contracts and derived tables that the laptop's environment names: the demo's."""
    return PROJECT / str(yaml.safe_load((PROJECT / "environments" / "local.yaml").read_text())["contracts"])
