"""Where the project's files lie: templates, apps, contracts."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
