"""Marked values planted in the source are found nowhere but in the stream, under raw/ and under errors/."""

from __future__ import annotations

import gzip
import secrets
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import orjson
import psycopg2
import pytest

from beer import CONTRACTS, generate
from datamaster.laptop.state import State
from datamaster.platform import actions, pipelines
from lake.control import ControlTable
from tests.e2e.search import PERMITTED, Searched, search

pytestmark = pytest.mark.timeout(900)
REVIEWS = 1_000
PLANTED = 250
SEARCHED = {
    "stream",
    "raw",
    "errors",
    "bronze",
    "silver",
    "gold",
    "quarantine",
    "control",
    "logs",
    "process logs",
    "executions",
    "api",
    "tables",
}


@dataclass(frozen=True)
class Walk:
    """What a search found after planted values had gone down the whole road."""

    searched: Searched
    emails: list[str]


def silent(_message: str) -> None:
    """Tell nobody."""


def plant(running: State, word: str) -> None:
    """Marked e-mail addresses in rows and changes of the source, in a record that nobody understands, and in rejected lines."""
    with closing(psycopg2.connect(running.dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SELECT max(profile_id) FROM dm_core.profile")
        first = cursor.fetchone()[0] + 1
        for n in range(PLANTED):
            values = (first + n, f"drinker {n}", f"{word}-{n}@example.com", "SP")
            cursor.execute("INSERT INTO dm_core.profile (profile_id, profile_name, email, state) VALUES (%s, %s, %s, %s)", values)
    with closing(psycopg2.connect(running.dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("UPDATE dm_core.profile SET email = 'new-' || email WHERE profile_id >= %s AND profile_id < %s", (first, first + 20))
        cursor.execute("DELETE FROM dm_core.profile WHERE profile_id = %s", (first + 30,))
    unreadable = orjson.dumps({"data": {"email": f"{word}-stream@example.com"}, "metadata": {"record-type": "riddle"}})
    boto3.client("kinesis").put_record(StreamName=running.stream_name, Data=unreadable, PartitionKey="riddle")
    lines = [
        f'{{"profile_id": {first + PLANTED}, "profile_name": "good", "email": "{word}-good@example.com", "operation": "load"}}',
        f'{{"profile_id": "no number", "email": "{word}-typed@example.com", "nickname": "{word}-name"}}',
        f'{{"profile_id": 1, "email": "{word}-torn@exam',
        f"{word}-free@example.com",
    ]
    boto3.client("s3").put_object(Bucket=running.stage_bucket, Key="raw/profile/foreign.gz", Body=gzip.compress("\n".join(lines).encode()))
    boto3.client("s3").put_object(Bucket=running.stage_bucket, Key="raw/profile/broken.gz", Body=f"{word}-no-gzip".encode())


@pytest.fixture
def walk(tmp_path: Path, start_platform: Callable[..., Any]) -> Callable[..., Walk]:
    """``walk(word, contracts)``: a platform with these contracts, the word planted, everything carried to gold, everything searched."""

    def go(word: str, contracts: Path = CONTRACTS) -> Walk:
        def seed(dsn: str) -> None:
            generate.load_generated(dsn, REVIEWS)

        with start_platform(tmp_path / "home", seed=seed, contracts=contracts, delivery_seconds=1.0) as running:
            plant(running, word)
            actions.convert_all(running, silent)
            actions.export_table(running, "profile", True, silent)
            actions.convert_all(running, silent)
            for layer in ("silver", "gold"):
                assert pipelines.run(running, layer, silent).failed == ()
            emails = [str(item.get("decision")) for item in [ControlTable(running.control_table).decisions.get("profile", "email") or {}]]
            return Walk(search(running, word), emails)

    return go


def test_planted_values_lie_in_the_stream_raw_and_errors_and_nowhere_else(walk: Callable[..., Walk], capsys: Any) -> None:
    found = walk(f"canary{secrets.token_hex(4)}")

    with capsys.disabled():
        print("", *found.searched.lines, sep="\n")
    assert found.searched.forbidden == []
    assert {place for place, _ in found.searched.hits} == set(PERMITTED)
    assert set(found.searched.looked_at) >= SEARCHED
    assert found.emails == ["personal"]


def test_without_the_mask_the_same_search_finds_them_in_the_lake(walk: Callable[..., Walk], tmp_path: Path, capsys: Any) -> None:
    contracts = tmp_path / "contracts"
    shutil.copytree(CONTRACTS, contracts)
    profile = contracts / "profile.yaml"
    profile.write_text(profile.read_text().replace("      - name: email\n", "      - name: email\n        classification: public\n"))

    found = walk(f"canary{secrets.token_hex(4)}", contracts)

    with capsys.disabled():
        print("", *found.searched.lines, sep="\n")
    assert {place for place, _ in found.searched.hits} >= {*PERMITTED, "bronze", "silver", "quarantine", "tables"}
