"""The checkpoint never passes a record that is not written."""

from __future__ import annotations

import gzip

from hypothesis import given
from hypothesis import strategies as st

from datamaster.laptop.delivery.buffers import Buffers
from datamaster.laptop.delivery.checkpoint import Checkpoint, load_checkpoint

EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("record"), st.sampled_from(["s0", "s1"]), st.sampled_from(["raw/a/", "raw/b/", None])),
        st.tuples(st.just("write"), st.sampled_from(["raw/a/", "raw/b/"])),
    ),
    max_size=60,
)


@given(EVENTS)
def test_a_shard_is_safe_up_to_its_last_record_before_the_first_unwritten_one(events):
    buffers = Buffers(compressed=True, size_limit=1 << 30, seconds_limit=1e9)
    unwritten: dict[str, list[tuple[str, int]]] = {}
    last = {"s0": 0, "s1": 0}
    for event in events:
        if event[0] == "record":
            _, shard, prefix = event
            last[shard] += 1
            if prefix:
                buffers.append(prefix, b"line\n", shard)
                unwritten.setdefault(prefix, []).append((shard, last[shard]))
            buffers.handed(shard, str(last[shard]))
        elif event[1] in unwritten:
            buffers.body(event[1])
            buffers.written(event[1])
            del unwritten[event[1]]

    held = [place for places in unwritten.values() for place in places]
    for shard, number in last.items():
        first_unwritten = min((n for s, n in held if s == shard), default=number + 1)
        safe = dict(buffers.safe()).get(shard)
        assert int(safe or 0) == first_unwritten - 1


def test_an_object_holds_every_line_once():
    buffers = Buffers(compressed=True, size_limit=10, seconds_limit=1e9)
    for number in range(1000):
        buffers.append("raw/a/", b"%d\n" % number, "s0")

    assert gzip.decompress(buffers.body("raw/a/")) == b"".join(b"%d\n" % number for number in range(1000))


def test_an_object_is_due_when_it_is_full_or_old_and_not_before():
    full = Buffers(compressed=False, size_limit=10, seconds_limit=1e9)
    full.append("raw/a/", b"123456789", "s0")
    assert full.due() == []
    full.append("raw/a/", b"0", "s0")
    assert full.due() == ["raw/a/"]

    old = Buffers(compressed=False, size_limit=10, seconds_limit=0)
    old.append("raw/a/", b"1", "s0")
    assert old.due() == ["raw/a/"]


def test_a_body_can_be_read_again_where_writing_it_failed():
    buffers = Buffers(compressed=True, size_limit=10, seconds_limit=0)
    buffers.append("raw/a/", b"1\n", "s0")

    assert buffers.body("raw/a/") == buffers.body("raw/a/")


def test_a_checkpoint_is_read_back_for_its_own_stream_only(tmp_path):
    stored = Checkpoint("created-1", {"s0": "17"}, {"ok": 3})
    stored.save(tmp_path / "checkpoint.json")

    assert load_checkpoint(tmp_path / "checkpoint.json", "created-1") == stored
    assert load_checkpoint(tmp_path / "checkpoint.json", "created-2") == Checkpoint("created-2")
    assert load_checkpoint(tmp_path / "none.json", "created-1") == Checkpoint("created-1")
