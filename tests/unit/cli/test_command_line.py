"""The command line as a user meets it, without a platform."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from beer import CONTRACTS
from datamaster.cli import INTERRUPTED, NO, UNREACHABLE, WRONG_INPUT, app, run, version
from datamaster.project import PROJECT

PLATFORM = ["demo", "up", "down", "status", "doctor"]
ROWS = ["seed", "churn", "export", "reload", "run", "query", "verify", "convert"]
COMMANDS = [*PLATFORM, *ROWS, "deploy", "destroy", "contract", "files"]


def test_help_lists_every_command_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out

    assert [name for name in COMMANDS if not re.search(rf"^\W*{name}\s+\w", text, re.MULTILINE)] == []
    assert "Exit codes" in text
    assert "--version" in text


def test_the_version_names_the_commit_that_is_checked_out(capsys: pytest.CaptureFixture[str]) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout

    assert run(["--version"]) == 0
    told = re.fullmatch(r"dm (\d+\.\d+\.\d+), commit ([0-9a-f]{7,})\+?\n", capsys.readouterr().out)

    assert told
    assert told[1] == tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    assert head.startswith(told[2])


def test_the_version_is_told_where_the_project_came_without_its_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(version, "PROJECT", tmp_path)

    assert run(["--version"]) == 0
    assert re.fullmatch(r"dm \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    assert "Usage: dm " + command in capsys.readouterr().out


def test_an_unknown_command_is_wrong_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sing"]) == WRONG_INPUT
    assert "sing" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["query", "SELECT 1"], ["files", "ls"], ["run", "silver"], ["verify"], ["churn"]])
def test_without_a_platform_a_command_says_how_to_start_one(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*arguments, "--home", str(tmp_path)]) == UNREACHABLE
    assert "dm up" in capsys.readouterr().err


def test_a_wrong_contract_is_named_with_what_would_be_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (CONTRACTS / "beer.yaml").read_text().replace("physicalType: double precision", "physicalType: datetime")
    (tmp_path / "beer.yaml").write_text(text)

    assert run(["contract", "check", "--contracts", str(tmp_path)]) == WRONG_INPUT
    message = capsys.readouterr().err
    assert all(word in message for word in ("beer.yaml", "beer_abv", "datetime", "double"))


@pytest.mark.parametrize(
    ("source", "code", "message"),
    [
        ("postgresql://ada:secret@127.0.0.1:9/shop", UNREACHABLE, "dm: source postgresql://ada:…@127.0.0.1:9/shop: Connection refused; "),
        ("mysql://127.0.0.1/shop", WRONG_INPUT, 'dm: source "mysql://127.0.0.1/shop" is no address of a database: '),
    ],
)
def test_a_source_that_does_not_answer_is_named_without_its_password(
    source: str, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["contract", "init", "shop.orders", "--source", source]) == code
    shown = capsys.readouterr().err
    assert " ".join(shown.split()).startswith(message)
    assert "secret" not in shown


def test_a_folder_without_contracts_names_the_command_that_writes_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["contract", "check", "--contracts", str(tmp_path)]) == WRONG_INPUT
    assert capsys.readouterr().err.rstrip().endswith("contracts: no *.yaml file here; dm contract init SCHEMA.TABLE writes one")


def test_the_projects_contracts_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["contract", "check"]) == 0
    assert "4 contracts valid" in capsys.readouterr().out


def test_an_interrupt_is_its_own_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("datamaster.laptop.doctor.examine", interrupted)
    assert run(["doctor"]) == INTERRUPTED


def test_doctor_says_no_where_something_needed_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from datamaster.laptop.doctor import Diagnosis

    monkeypatch.setattr("datamaster.laptop.doctor.examine", lambda: [Diagnosis("PostgreSQL", "none", False, "make setup installs it")])
    assert run(["doctor"]) == NO


def test_the_exit_codes_are_documented() -> None:
    assert all(f"{code}" in (app.info.epilog or "") for code in (0, NO, WRONG_INPUT, UNREACHABLE, INTERRUPTED))


def told() -> Iterator[tuple[str, list[str]]]:
    """Every command line of dm that a page shows: the page, and its words."""
    for page in [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]:
        text = page.read_text()
        shown = re.findall(r"`([^`\n]+)`", text) + re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        for line in "\n".join(shown).splitlines():
            for _, words in re.findall(r"(^|[\s/])dm ([a-z-][^#;|&]*)", line):
                yield page.name, words.split()


def test_every_command_and_option_that_a_page_shows_is_there() -> None:
    known: Any = typer.main.get_command(app)
    unknown, seen = [], 0
    for page, words in told():
        command, rest = known, words
        while rest and rest[0] in getattr(command, "commands", {}):
            command, rest = command.commands[rest[0]], rest[1:]
        options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
        asked = [word.split("=")[0] for word in rest if word.startswith("--")]
        if (rest == words and not asked) or set(asked) - options:
            unknown.append((page, words))
        seen += 1
    assert unknown == []
    assert seen > 50


LAPTOP_ONLY = {
    **dict.fromkeys(("up", "down"), "they start and stop the laptop's processes; dm deploy and dm destroy are their twins"),
    **dict.fromkeys(("demo", "seed", "churn"), "they make rows in a laptop's own database"),
    **dict.fromkeys(("tables add", "tables drop"), "in an account the tables are those of the contracts that dm deploy publishes"),
    "contract check": "it reads a folder; --home only chooses it",
}


def commands(group: Any = None, before: str = "") -> Iterator[tuple[str, set[str]]]:
    """Every command with its options, groups included."""
    for name, command in (group or typer.main.get_command(app)).commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", {option for parameter in command.params for option in parameter.opts}


def test_every_command_on_a_platform_takes_an_environment_in_its_place() -> None:
    on_a_platform = {name for name, options in commands() if "--home" in options}
    by_environment = {name for name, options in commands() if {"--home", "--env"} <= options}

    assert on_a_platform - by_environment == LAPTOP_ONLY.keys()
    assert {"files retry", "errors ls", "run", "reload", "export", "query", "table ls", "status", "verify", "console"} <= by_environment


def test_the_runbook_holds_commands_that_run_in_both_places() -> None:
    known = dict(commands())
    groups = {name.split()[0] for name in known if " " in name}
    lines = re.findall(r"\bdm ([a-z]+)(?: ([a-z]+))?", (PROJECT / "docs" / "runbook.md").read_text())
    shown = {f"{name} {word}" if name in groups else name for name, word in lines}

    assert {name for name in shown if "--env" not in known[name]} == {"contract check"}
    assert shown >= {"files retry", "files sweep", "run", "reload", "errors ls", "status", "console"}


def test_no_command_reaches_a_platform_but_by_home_and_env() -> None:
    reaching = re.compile(r"\b(?:platform|connect)\(home")
    source = "".join(path.read_text() for path in (PROJECT / "datamaster" / "cli").glob("*.py"))
    functions = re.split(r"^def ", source, flags=re.MULTILINE)
    blind = [text.split("(")[0] for text in functions if reaching.search(text) and "home: " not in text]

    assert blind == []
    assert sum(bool(reaching.search(text)) for text in functions) > 15


def test_an_environment_that_no_file_describes_is_one_line_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["files", "ls", "--env", "prd"]) == WRONG_INPUT
    assert capsys.readouterr().err == (
        'dm: environment "prd" has no file under environments/; there is dev, lean, local, prod, staging. '
        "Next: --env with one of these, or write environments/prd.yaml\n"
    )


def test_the_laptop_s_environment_is_no_account(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "--env", "local"]) == WRONG_INPUT
    assert "leave --env out; --home chooses the platform" in capsys.readouterr().err


def test_without_credentials_an_environment_is_out_of_reach(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, f"{tmp_path}/none")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    assert run(["run", "silver", "--env", "dev"]) == UNREACHABLE
    assert "no AWS credentials" in capsys.readouterr().err
