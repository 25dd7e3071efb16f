"""Which shard a session belongs to."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.shards import Shard, owner_of

FIRST_OWNERS = [0, 4, 0, 1, 3, 2, 4, 1, 2, 0, 3, 1, 2, 2, 1, 0]
SESSIONS = [SessionKey("default", f"session-{number}") for number in range(10_000)]
Keys = st.builds(SessionKey, st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=255))


@pytest.mark.parametrize("count", [2, 3, 7])
def test_every_shard_has_about_as_many_sessions(count: int) -> None:
    counts = Counter(owner_of(session, count) for session in SESSIONS)
    assert sorted(counts) == [*range(count)]
    share = len(SESSIONS) / count
    assert all(0.9 * share < found < 1.1 * share for found in counts.values())


@pytest.mark.parametrize("count", [1, 2, 5])
def test_one_more_shard_takes_its_share_and_moves_no_other_session(count: int) -> None:
    moved = 0
    for session in SESSIONS:
        before, after = owner_of(session, count), owner_of(session, count + 1)
        assert after in (before, count)
        moved += after != before
    share = len(SESSIONS) / (count + 1)
    assert 0.9 * share < moved < 1.1 * share


@given(Keys, st.integers(1, 64))
def test_any_session_has_an_owner(session: SessionKey, count: int) -> None:
    assert 0 <= owner_of(session, count) < count


def test_the_owner_is_the_same_in_every_version() -> None:
    found = [owner_of(session, 5) for session in SESSIONS[:16]]
    assert found == FIRST_OWNERS
    assert owner_of(SessionKey("acme", "room"), 5) != owner_of(SessionKey("default", "room"), 5)


@given(st.integers(1, 64).flatmap(lambda of: st.builds(Shard, st.integers(0, of - 1), st.just(of))))
def test_a_shard_reads_back_from_its_text(shard: Shard) -> None:
    assert Shard.parse(str(shard)) == shard


@pytest.mark.parametrize("text", ["", "1", "2/2", "0/0", "-1/2", "a/b", "0/2/3", "²/3"])
def test_a_text_that_names_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="shard"):
        Shard.parse(text)
