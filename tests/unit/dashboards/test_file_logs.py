"""Lines of containers' logs, each once, whole lines only."""

from __future__ import annotations

from datamaster.laptop.metrics.logs import FileLogs


def test_a_line_is_read_once_and_not_before_it_is_whole(tmp_path):
    logs, path = FileLogs(tmp_path), tmp_path / "task.log"
    path.write_text("one\ntw")
    first = list(logs.new())
    path.write_text("one\ntwo\n")

    assert (first, list(logs.new()), list(logs.new())) == (["one"], ["two"], [])


def test_a_log_that_comes_later_is_read_from_its_beginning(tmp_path):
    logs = FileLogs(tmp_path)
    assert list(logs.new()) == []

    (tmp_path / "late.log").write_text("a\n\nb\n")

    assert list(logs.new()) == ["a", "", "b"]
