"""What pip was told is told to uv, or pip does the work itself."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
AS_PIP_CHOOSES = ["--index-strategy", "unsafe-best-match"]


@pytest.fixture
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", ROOT / "tools" / "install.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_settings_uv_chooses_between_indexes_as_pip_does(tool: ModuleType) -> None:
    assert tool.uv_options("") == AS_PIP_CHOOSES


def test_a_variable_wins_over_a_file_wherever_pip_lists_it(tool: ModuleType) -> None:
    variable, file = ":env:.index-url='https://variable/simple'", "global.index-url='https://file/simple'"
    for listed in (f"{variable}\n{file}", f"{file}\n{variable}"):
        assert tool.uv_options(listed) == [*AS_PIP_CHOOSES, "--default-index", "https://variable/simple"]


def test_each_of_several_places_has_a_flag_of_its_own(tool: ModuleType) -> None:
    listed = ":env:.extra-index-url='https://a https://b'\nglobal.find-links='/x\\n/y'\n:env:.cert='/c a.pem'"
    assert tool.uv_options(listed)[2:] == [
        *("--index", "https://a", "--index", "https://b", "--find-links", "/x", "--find-links", "/y", "--cert", "/c a.pem"),
    ]


@pytest.mark.parametrize(("value", "flags"), [("1", ["--no-index"]), ("true", ["--no-index"]), ("0", []), ("no", [])])
def test_a_switch_is_a_flag_where_it_is_on(tool: ModuleType, value: str, flags: list[str]) -> None:
    assert tool.uv_options(f":env:.no-index='{value}'")[2:] == flags


def test_what_concerns_other_commands_or_only_the_screen_is_passed_over(tool: ModuleType) -> None:
    assert (
        tool.uv_options("global.disable-pip-version-check='1'\ndownload.index-url='https://x'\n:env:.default-timeout='9'") == AS_PIP_CHOOSES
    )


def test_a_setting_without_a_counterpart_is_named(tool: ModuleType) -> None:
    with pytest.raises(tool.NoCounterpart, match=r"^client-cert$"):
        tool.uv_options("global.client-cert='/me.pem'")


def test_pip_installs_where_uv_cannot_be_had(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = []

    def run(*command: object) -> str:
        ran.append([str(word) for word in command][1:])
        if tool.UV in command:
            raise tool.InstallFailed("looking\nNo matching distribution found")
        return ""

    monkeypatch.setattr(tool, "run", run)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()

    tool.install(tmp_path, ["--requirement", "requirements.lock"])

    assert ran[-1] == ["-m", "pip", "install", "--quiet", "--requirement", "requirements.lock"]
    assert "uv cannot be had: No matching distribution found" in capsys.readouterr().out
