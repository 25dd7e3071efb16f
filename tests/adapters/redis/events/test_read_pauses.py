"""When a read follows another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.adapters.redis.events.read_pauses import MAX_PAUSE_S, MIN_PAUSE_S, ReadPauses
from tests.support.fakes.fake_clock import FakeClock


def pauses_ms(*reads: tuple[int, bool]) -> list[int]:
    """Return the pause after each read at a time of Redis, some of which returned nothing."""
    pauses = ReadPauses(FakeClock(0))
    found = []
    for now_ms, is_idle in reads:
        pauses.begin(now_ms, is_idle=is_idle)
        found.append(round(pauses.until_s * 1000))
    return found


def test_pauses_grow_while_nothing_comes_and_are_short_again_when_something_does() -> None:
    reads = [(0, False), *[(0, True)] * 6, (0, False), (0, True)]
    assert pauses_ms(*reads) == [25, 50, 100, 200, 250, 250, 250, 25, 50]


@given(st.integers(0, 10_000), st.integers(0, 9), st.floats(0, 1e6))
def test_a_pause_ends_at_the_next_whole_second_at_the_latest(
    now_ms: int, idle_reads: int, now_s: float
) -> None:
    pauses = ReadPauses(FakeClock(now_s))
    for _ in range(idle_reads + 1):
        pauses.begin(now_ms, is_idle=idle_reads > 0)
    second_s = (1000 - now_ms % 1000) / 1000
    assert pauses.until_s - now_s <= min(MAX_PAUSE_S, second_s) + 1e-9
    assert pauses.earliest_s - now_s == pytest.approx(min(MIN_PAUSE_S, second_s), abs=1e-9)


def test_without_a_read_there_is_no_pause() -> None:
    assert ReadPauses().until_s == 0
