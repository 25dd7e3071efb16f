"""Blocks: what the splitter writes is what a reader reads."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.domain.entries import Entry, RestampedEntry, id_of
from conductor_actors.domain.gaps import Gap
from conductor_actors.domain.partitions.blocks import Block, Interval, decode_block, encode_block

NUMBERS = st.integers(0, 1 << 53)
ENTRIES = st.lists(st.tuples(NUMBERS, NUMBERS, st.sampled_from(["a", "acme:a"]), st.binary()))


@given(ENTRIES, st.sets(st.integers(0, 20)))
def test_entries_come_out_as_they_went_in_with_their_own_ids(
    entries: list[Entry], restamped: set[int]
) -> None:
    sent = [
        RestampedEntry(entry, 5, 7) if number in restamped else entry
        for number, entry in enumerate(entries)
    ]
    received = decode_block(encode_block(Block.of(Interval((1, 0), (9, 0), 9), sent))).entries()
    assert received == sent
    assert [id_of(entry) for entry in received] == [id_of(entry) for entry in sent]


def test_an_interval_carries_its_gaps() -> None:
    gaps = (Gap("acme", "trimmed", 3, 1, 2),)
    interval = Interval((1, 0), (9, 0), 12, gaps, first_tick_ms=5)
    assert decode_block(encode_block(Block.of(interval, []))).interval == interval


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", encode_block(Block.of(Interval((1, 0), (2, 0), 2), []))[:-1]]
)
def test_a_damaged_block_is_an_error(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_block(data)
