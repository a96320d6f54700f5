"""Whoever waits is told for what, on a terminal and in a log, and not longer than something can come."""

from __future__ import annotations

import itertools
import json

import pytest

from datamaster.cli import output
from datamaster.laptop import holdups, state
from datamaster.platform import settled
from datamaster.platform.settled import NotSettled, Stage, wait_for


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(settled, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(settled, "REASON_SECONDS", 0.002)


def after(times):
    calls = itertools.count(1)
    return lambda: next(calls) > times


def test_the_stage_is_named_with_what_holds_it():
    said = []
    wait_for([Stage("into the stream", after(20), lambda: "it waits for process 7"), Stage("into S3", after(1))], said.append)

    assert list(dict.fromkeys(said)) == ["into the stream", "into the stream: it waits for process 7", "into S3"]


def test_waiting_ends_at_once_where_nothing_can_come():
    def gone():
        raise NotSettled("replicator ends again and again")

    with pytest.raises(NotSettled, match="again and again"):
        wait_for([Stage("into the stream", lambda: False, gone)], lambda _text: None)


def test_who_waited_long_enough_hears_what_held_it():
    with pytest.raises(NotSettled, match=r"still into the stream: shop\.orders is loaded; look at dm status"):
        wait_for([Stage("into the stream", lambda: False, lambda: "shop.orders is loaded")], lambda _text: None, 0.05)


class TestProcesses:
    @pytest.fixture
    def published(self, tmp_path):
        (tmp_path / state.LOGS).mkdir()
        (tmp_path / state.LOGS / "replicator.log").write_text("Traceback\nInvalidOperation: no such number\n")

        def publish(pid, restarts):
            (tmp_path / state.PROCESSES).write_text(json.dumps({"replicator": {"pid": pid, "restarts": restarts, "last_exit": 1}}))

        publish(7, 1)
        return tmp_path, publish

    def test_one_that_runs_as_before_is_no_reason(self, published):
        home, _ = published
        assert holdups.processes(home, "replicator")() == ""

    def test_one_that_is_started_again_is_named_with_its_last_line(self, published):
        home, publish = published
        look = holdups.processes(home, "replicator")
        publish(None, 1)
        assert look() == "replicator ended and is started again: InvalidOperation: no such number"

    def test_one_that_ends_again_and_again_ends_the_waiting(self, published):
        home, publish = published
        look = holdups.processes(home, "replicator")
        publish(9, 4)
        with pytest.raises(NotSettled, match=r"nothing can come: InvalidOperation: no such number; see .*replicator\.log"):
            look()


def test_without_a_terminal_a_step_says_now_and_then_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr(output, "LINE_SECONDS", 0.0)
    monkeypatch.setattr(output, "err", output._console(__import__("sys").stderr, stderr=True))
    with output.step("Load") as current:
        current.say("process 7 of the source is waited for")

    first, last = capsys.readouterr().err.splitlines()
    assert first == "… Load: process 7 of the source is waited for (0 s)"
    assert last.startswith("✓ Load")
