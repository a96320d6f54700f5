"""Every command of the README, run as it stands there."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from datamaster.laptop import postgres

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
OWN = "postgresql://user:password@host/database"
SMALL = "--reviews 12000 --changes 500"


def commands(section: str) -> list[str]:
    """The commands in the sh blocks of one section."""
    text = re.split(r"^## ", README, flags=re.MULTILINE)
    body = next(part for part in text if part.startswith(section))
    blocks = re.findall(r"```sh\n(.*?)```", body, re.DOTALL)
    return [line.split("  #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


def run(command: str, home: Path) -> str:
    environment = os.environ | {"DM_HOME": str(home), "DEMO": SMALL}
    done = subprocess.run(command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "home"
    run(".venv/bin/dm down", tmp_path / "home")


@pytest.fixture
def own_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A user's database with two small tables."""
    server = postgres.start(tmp_path_factory.mktemp("own") / "data")
    with psycopg2.connect(server.dsn) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA shop")
        cursor.execute("CREATE TABLE shop.orders (id int PRIMARY KEY, created_at timestamptz, price numeric(12,2))")
        cursor.execute("CREATE TABLE shop.customers (id int PRIMARY KEY, since date)")
        cursor.execute("INSERT INTO shop.orders SELECT i, now(), i + 0.5 FROM generate_series(1, 3) i")
    yield server.dsn
    server.stop()


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    assert commands("Two commands")[:2] == ["make demo", "make test"]
    subprocess.run(["make", "--dry-run", "demo", "test"], cwd=ROOT, check=True, capture_output=True)


def test_the_demo_proves_itself_and_what_it_names_next_works(home: Path) -> None:
    told = run("make demo", home)
    assert "0 differences" in told

    for command in commands("Two commands")[2:]:
        run(command, home)


def test_an_own_database_is_taken_asked_and_proven(home: Path, own_database: str) -> None:
    lines = commands("Your own database")
    assert len(lines) == 4

    answers = [run(line.replace(OWN, shlex.quote(own_database)), home) for line in lines]

    assert re.search(r"\b3\b", answers[2])
    assert "0 differences" in answers[3]


def test_no_other_section_has_commands_to_run() -> None:
    run_by_the_tests_above = len(commands("Two commands")) + len(commands("Your own database"))

    assert run_by_the_tests_above == sum(len(commands(title)) for title in re.findall(r"^## (.+)$", README, re.MULTILINE))


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`((?:\.venv/bin/dm|dm|make) [^`]+)`", README))))
def test_a_command_named_in_the_text_is_there(command: str) -> None:
    program, *words = command.split()
    if program == "make":
        subprocess.run(["make", "--dry-run", *words], cwd=ROOT, check=True, capture_output=True)
        return
    names = list(itertools.takewhile(lambda word: re.fullmatch(r"[a-z]+", word), words))
    told = run(shlex.join([".venv/bin/dm", *names, "--help"]), ROOT / "nowhere")
    assert " ".join(names) in told
    assert all(word in told for word in words if word.startswith("--"))


def test_every_documented_page_is_there() -> None:
    missing = [target for target in re.findall(r"\]\(([^)#]+)\)", README) if not target.startswith("http") and not (ROOT / target).exists()]

    assert missing == []
