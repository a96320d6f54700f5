"""Updates that leave a column out (unchanged TOAST): its value is the one that was last written, wherever that was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from itertools import islice, permutations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lake import cdc
from tests.integration.jobs.domain import Lake, contract_head, delete, insert, load, place, rekey, update

pytestmark = pytest.mark.integration

NOTE = (
    contract_head("note")
    + """\
      - {name: title, physicalType: varchar(50), classification: public}
      - {name: body, physicalType: text, classification: public}
      - {name: extra, physicalType: jsonb, classification: public}
"""
)
LEFT_OUT = ("body",)


@pytest.fixture
def notes(make_lake: Callable[[Path], Lake], tmp_path: Path) -> Lake:
    (tmp_path / "note.yaml").write_text(NOTE)
    return make_lake(tmp_path)


def write(position: float, number: int = 1, body: str = "text", title: str = "a", extra: str = "{}") -> Any:
    return insert("note", position, note_id=number, title=title, body=body, extra=extra)


def retitle(position: float, title: str, number: int = 1) -> Any:
    return update("note", position, unchanged=LEFT_OUT, note_id=number, title=title, extra="{}")


def move(position: float, old: int, new: int, title: str = "moved") -> Any:
    return rekey("note", position, {"note_id": old}, {"note_id": new}, unchanged=LEFT_OUT, title=title, extra="{}")


def note(lake: Lake, number: int = 1) -> SimpleNamespace:
    return lake.row("note", note_id=number)


def test_an_update_without_the_column_keeps_its_value(notes: Lake) -> None:
    notes.arrives(write(10))
    notes.merge()
    notes.arrives(retitle(20, "b"))

    notes.merge()

    assert (note(notes).title, note(notes).body, note(notes).cdc_missing) == ("b", "text", None)


TOO_LARGE = (cdc.UNSEEN + "body",)


def enlarge(position: float, number: int = 1, title: str = "a") -> Any:
    """An update with a body that was too large for the stream."""
    return update("note", position, unchanged=TOO_LARGE, note_id=number, title=title, extra="{}")


@pytest.mark.parametrize("batches", [[3], [2, 1], [1, 2], [1, 1, 1]])
def test_a_value_that_could_not_travel_is_never_taken_for_an_older_one(notes: Lake, batches: list[int]) -> None:
    changes = iter([write(10, body="small"), enlarge(20), retitle(30, "b")])
    for size in batches:
        notes.arrives(*islice(changes, size))
        notes.merge()

    assert (note(notes).title, note(notes).body, note(notes).cdc_missing) == ("b", None, "body")


def test_a_row_whose_first_value_could_not_travel_arrives_with_the_rest(notes: Lake) -> None:
    notes.arrives(
        replace(write(10, 1), columns={**write(10, 1).columns, "body": None}, unchanged=TOO_LARGE),
        replace(load("note", note_id=2, title="loaded", extra="{}"), unchanged=TOO_LARGE),
    )
    notes.merge()
    notes.arrives(retitle(20, "b"))
    notes.merge()

    found = notes.live_rows("note", "note_id", "title", "body", "cdc_missing")
    assert [tuple(row.values()) for row in found] == [(1, "b", None, "body"), (2, "loaded", None, "body")]


def test_an_older_value_that_arrives_late_does_not_fill_what_could_not_travel(notes: Lake) -> None:
    notes.arrives(enlarge(20))
    notes.merge()
    notes.arrives(write(10, body="small"))
    notes.merge()

    assert (note(notes).body, note(notes).cdc_missing) == (None, "body")


def test_an_export_of_the_key_fills_what_could_not_travel_and_an_older_one_does_not(notes: Lake) -> None:
    notes.arrives(write(10), enlarge(20), retitle(30, "b"))
    notes.merge()
    notes.arrives(load("note", position=place(15), note_id=1, title="a", body="of before", extra="{}"))
    notes.merge()
    assert note(notes).cdc_missing == "body"

    notes.arrives(load("note", position=place(40), note_id=1, title="b", body="large", extra="{}"))
    notes.merge()

    assert (note(notes).title, note(notes).body, note(notes).cdc_missing) == ("b", "large", None)


def test_what_could_not_travel_follows_its_key(notes: Lake) -> None:
    notes.arrives(write(5), move(10, 1, 2))
    notes.merge()
    notes.arrives(enlarge(20, 2), move(30, 2, 3), delete("note", 40, note_id=4))
    notes.merge()
    assert (note(notes, 3).body, note(notes, 3).cdc_missing) == (None, "body")
    notes.arrives(move(50, 3, 4), write(60, 1, body="another"), write(60, 2, body="another"))
    notes.merge()

    assert (note(notes, 4).body, note(notes, 4).cdc_missing) == (None, "body")


def test_a_new_row_behind_one_that_could_not_travel_is_whole(notes: Lake) -> None:
    notes.arrives(enlarge(20), delete("note", 30, note_id=1))
    notes.merge()
    assert (note(notes).deleted_at is not None, note(notes).cdc_missing) == (True, None)
    notes.arrives(write(40, body="anew"))
    notes.merge()

    assert (note(notes).body, note(notes).cdc_missing) == ("anew", None)


def test_a_batch_is_folded_by_column(notes: Lake) -> None:
    notes.arrives(write(10, body="old"), update("note", 20, note_id=1, title="b", body="new", extra="{}"), retitle(30, "c"))

    notes.merge()

    assert (note(notes).title, note(notes).body) == ("c", "new")


def test_a_value_never_seen_is_null_and_named(notes: Lake) -> None:
    notes.arrives(retitle(20, "b"))

    notes.merge()

    assert (note(notes).body, note(notes).cdc_missing) == (None, "body")


def test_rows_that_miss_a_value_are_counted(notes: Lake) -> None:
    notes.arrives(write(10), retitle(20, "b", 2), retitle(21, "c", 3))
    (batch,) = notes.plan()

    assert notes.run(batch).missing == {"whole": {"body": 2}}
    notes.settler().silver(batch)
    assert notes.control.states.get("silver/note").missing_columns == {"body": 2}


def test_rows_that_miss_a_value_are_counted_by_month_until_it_is_there(make_lake: Callable[[Path], Lake], tmp_path: Path) -> None:
    dated = "      - {name: day, physicalType: date}\n"
    months = "    customProperties:\n      - {property: partition, value: {column: day, year: y, month: m}}\n"
    (tmp_path / "note.yaml").write_text(NOTE + dated + months)
    lake, columns = make_lake(tmp_path), {"title": "a", "extra": "{}"}
    january, march = date(2024, 1, 5), date(2024, 3, 5)
    for number, day in ((1, january), (2, january), (3, march)):
        lake.arrives(update("note", number, unchanged=TOO_LARGE, note_id=number, day=day, **columns))
    lake.merge()
    assert lake.control.states.get("silver/note").missing == {"2024-01": {"body": 2}, "2024-03": {"body": 1}}

    lake.arrives(update("note", 10, note_id=1, day=march, body="seen", **columns), delete("note", 11, note_id=2))
    lake.merge()

    assert lake.control.states.get("silver/note").missing == {"2024-03": {"body": 1}}


def test_an_older_change_fills_the_column_that_newer_ones_left_out(notes: Lake) -> None:
    notes.arrives(retitle(20, "b"))
    notes.merge()
    notes.arrives(write(10))

    notes.merge()

    assert (note(notes).title, note(notes).body, note(notes).cdc_missing) == ("b", "text", None)


def test_an_older_carrier_does_not_replace_a_newer_one(notes: Lake) -> None:
    notes.arrives(update("note", 20, note_id=1, title="b", body="new", extra="{}"))
    notes.merge()
    notes.arrives(write(10, body="old"))

    notes.merge()

    assert note(notes).body == "new"


def test_after_a_key_change_the_value_is_the_old_keys(notes: Lake) -> None:
    notes.arrives(write(10))
    notes.merge()
    notes.arrives(move(20, 1, 2))

    notes.merge()

    assert [(r["note_id"], r["title"], r["body"]) for r in notes.live_rows("note")] == [(2, "moved", "text")]


def test_a_value_that_arrives_after_its_key_has_moved_follows_it(notes: Lake) -> None:
    notes.arrives(move(20, 1, 2))
    notes.merge()
    assert note(notes, 2).cdc_missing == "body"
    notes.arrives(move(30, 2, 3))
    notes.merge()
    notes.arrives(write(10))

    notes.merge()

    assert (note(notes, 3).body, note(notes, 3).cdc_missing) == ("text", None)


def test_a_new_row_under_the_old_key_does_not_leak_into_the_moved_one(notes: Lake) -> None:
    notes.arrives(write(10, body="first"))
    notes.merge()
    notes.arrives(move(20, 1, 2))
    notes.merge()
    notes.arrives(write(30, body="second"))

    notes.merge()

    assert (note(notes, 1).body, note(notes, 2).body) == ("second", "first")


def test_a_swap_exchanges_the_values_however_it_is_cut_into_batches(notes: Lake) -> None:
    cuts = [[(0, 1, 2, 3)], [(0,), (1, 2, 3)], [(0, 1), (2,), (3,)], [(0,), (1,), (2,), (3,)]]
    for turn in range(4):
        for case, batches in enumerate(cuts):
            base = case * 10
            steps = [
                (write(1, base + 1, "one"), write(2, base + 2, "two")),
                move(base + 10, base + 1, base + 9),
                move(base + 11, base + 2, base + 1),
                move(base + 12, base + 9, base + 2),
            ]
            if turn < len(batches):
                notes.arrives(*(steps[step] for step in batches[turn]))
        notes.merge()

    expected = [pair for case in range(len(cuts)) for pair in ((case * 10 + 1, "two"), (case * 10 + 2, "one"))]
    assert [(r["note_id"], r["body"]) for r in notes.live_rows("note")] == expected


def test_a_chain_of_moves_converges_in_any_order(notes: Lake) -> None:
    orders = list(permutations(range(4)))
    for turn in range(4):
        for case, order in enumerate(orders):
            one, place = case * 10 + 1, case * 100
            steps = [
                write(place + 10, one),
                move(place + 20, one, one + 1),
                move(place + 30, one + 1, one + 2),
                retitle(place + 40, "end", one + 2),
            ]
            notes.arrives(steps[order[turn]])
        notes.merge()

    found = notes.live_rows("note", "note_id", "title", "body", "cdc_missing")
    assert [tuple(row.values()) for row in found] == [(case * 10 + 3, "end", "text", None) for case in range(len(orders))]


def test_a_carrier_after_the_move_wins_over_the_value_that_moved(notes: Lake) -> None:
    notes.arrives(move(20, 1, 2))
    notes.merge()
    notes.arrives(update("note", 30, note_id=2, title="c", body="own", extra="{}"))
    notes.merge()
    notes.arrives(write(10, body="old"))

    notes.merge()

    assert note(notes, 2).body == "own"


def test_a_deleted_row_misses_nothing(notes: Lake) -> None:
    notes.arrives(retitle(20, "b"), delete("note", 30, note_id=1))

    notes.merge()

    assert note(notes).cdc_missing is None


READ, DURING, AFTER = 12, 11, 60
"""When the rows of a load were read, in minutes; a change committed while it ran, and one after it."""


def reloaded(lake: Lake, *bodies: str) -> Any:
    lake.fence("note", 10)
    return tuple(load("note", READ, note_id=number, title="a", body=body, extra="{}") for number, body in enumerate(bodies, 1))


def move_at(position: float, old: int, new: int, built: float) -> Any:
    return rekey("note", position, {"note_id": old}, {"note_id": new}, unchanged=LEFT_OUT, built=built, title="moved", extra="{}")


def swap(built: float) -> list[Any]:
    return [move_at(20, 1, 9, built), move_at(21, 2, 1, built), move_at(22, 9, 2, built)]


def values(lake: Lake) -> list[tuple[int, str | None, str | None]]:
    return [(r["note_id"], r["body"], r["cdc_missing"]) for r in lake.live_rows("note", "note_id", "body", "cdc_missing")]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_what_a_key_change_hands_on_that_a_load_may_have_read_is_named(notes: Lake, order: tuple[int, ...]) -> None:
    away, back, again = swap(DURING)
    batches = [reloaded(notes, "one", "two"), (away,), (back, again)]
    for number in order:
        notes.arrives(*batches[number])
        notes.merge()

    assert [(number, missing) for number, _, missing in values(notes)] == [(1, "body"), (2, "body")]


def test_a_key_change_after_the_load_hands_its_values_on_for_certain(notes: Lake) -> None:
    notes.arrives(*reloaded(notes, "one", "two"))
    notes.merge()
    notes.arrives(*swap(AFTER))

    notes.merge()

    assert values(notes) == [(1, "two", None), (2, "one", None)]


def test_a_key_that_nobody_has_written_anew_was_read_before_it_changed(notes: Lake) -> None:
    notes.arrives(*reloaded(notes, "one"), move_at(20, 1, 2, DURING))
    notes.merge()
    assert values(notes) == [(2, "one", None)]
    notes.arrives(insert("note", 30, AFTER, note_id=1, title="a", body="new", extra="{}"))

    notes.merge()

    assert values(notes) == [(1, "new", None), (2, "one", None)]


def test_a_key_written_anew_while_the_load_ran_makes_the_moved_value_doubtful_when_that_is_known(notes: Lake) -> None:
    notes.arrives(*reloaded(notes, "second life"), move_at(20, 1, 2, DURING))
    notes.merge()
    notes.arrives(insert("note", 21, DURING, note_id=1, title="a", body="second life", extra="{}"))

    notes.merge()

    assert values(notes) == [(1, "second life", None), (2, "second life", "body")]


def test_a_doubtful_value_is_certain_once_it_is_written(notes: Lake) -> None:
    notes.arrives(*reloaded(notes, "one", "two"), *swap(DURING))
    notes.merge()
    notes.arrives(update("note", 30, AFTER, note_id=2, title="c", body="own", extra="{}"))

    notes.merge()

    assert values(notes)[1] == (2, "own", None)


def test_a_value_from_before_the_load_that_did_not_bring_its_row_is_named(notes: Lake) -> None:
    notes.arrives(write(10, body="from before"))
    notes.merge()
    notes.arrives(*reloaded(notes), move_at(20, 1, 2, DURING))

    notes.merge()

    assert values(notes) == [(2, "from before", "body")]


def test_a_key_change_that_an_export_may_have_read_is_named_too(notes: Lake) -> None:
    exported = str(cdc.Position(15, 0))
    rows = [load("note", READ, exported, note_id=n, title="a", body=body, extra="{}") for n, body in ((1, "one"), (2, "two"))]
    notes.arrives(*rows, *swap(DURING))

    notes.merge()

    assert [(number, missing) for number, _, missing in values(notes)] == [(1, "body"), (2, "body")]
