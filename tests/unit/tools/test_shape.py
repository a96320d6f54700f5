"""The house keeps its shape: arrows run down, and no package holds more than a fifth."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
ON_AWS = ("lake", "ingest", "convert", "control_api", "batches", "jobs", "export")


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("shape", ROOT / "tools" / "shape.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["shape"] = module
    spec.loader.exec_module(module)
    return module


def test_no_arrow_runs_back_up(tool: ModuleType) -> None:
    assert tool.measure().back == []


def test_what_runs_on_aws_imports_neither_datamaster_nor_the_example(tool: ModuleType) -> None:
    arrows = tool.measure().arrows

    assert [(a, b) for a, b in arrows if a.split(".")[0] in ON_AWS and b.split(".")[0] in ("datamaster", "beer")] == []


def test_no_package_holds_more_than_a_fifth_of_the_lines(tool: ModuleType) -> None:
    assert max(tool.measure().share.values()) <= 0.2


def test_a_search_for_a_class_or_file_finds_one_thing(tool: ModuleType) -> None:
    shape = tool.measure()

    assert len(shape.doubled_classes) <= 5, shape.doubled_classes
    assert len(shape.doubled_files) <= 6, shape.doubled_files


def test_an_arrow_back_up_is_seen(tool: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "cdc.py").write_text("def late():\n    from jobs.silver import merge\n")

    assert tool.measure(tmp_path).back == [("lake", "jobs.silver")]
