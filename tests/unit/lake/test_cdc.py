import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.cdc import ZERO_POSITION, InvalidPosition, Position

positions = st.builds(Position, st.integers(0, 2**64 - 1), st.integers(0, 10**10 - 1), st.integers(0, 9))


@given(positions, positions)
def test_the_text_of_positions_sorts_as_the_positions_do(a: Position, b: Position) -> None:
    assert (str(a) < str(b)) == (a < b)


@given(positions)
def test_a_position_is_read_back(position: Position) -> None:
    assert Position.parse(str(position)) == position


def test_a_stream_position_gives_commit_lsn_and_record() -> None:
    assert str(Position.of_stream_position("00000002/7C007178.3.00000002/7C007100", sub=1)) == "000000027c007178-0000000003-1"


def test_loads_lie_below_every_change() -> None:
    assert str(Position(0, 0, 0)) == ZERO_POSITION < str(Position(1, 1))


@pytest.mark.parametrize("text", ["", "2/7C", "2/7C007178.x.2/7C007178", "000000027c007178-0000000003-0"])
def test_another_form_of_stream_position_is_refused(text: str) -> None:
    with pytest.raises(InvalidPosition):
        Position.of_stream_position(text)
