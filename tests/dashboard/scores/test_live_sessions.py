from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.dashboard.scores.live_sessions import HISTORY_S, LiveSessions
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import Contributions
from conductor_actors.wire.updates import Update, decode_update, encode_update, timestamp
from tests.support.score_rows import AT_MS, SIGNALS, with_body

TICK_MS = 5000
KEY = SessionKey("default", "s")


class Time:
    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def live(time: Time) -> LiveSessions:
    return LiveSessions(5, time)


def update(tick: int = 0, session: str = "s", tenant: str = "default", **more: Any) -> Update:
    added = Contributions(0.1, 0.1, 0.1, 0.1, 0.0)
    at = timestamp(AT_MS + tick * TICK_MS)
    given = {"score": 0.5, "category": "MODERATE", "signals": SIGNALS, "contributions": added}
    return Update(at, tenant, session, "e", **{**given, **more})


def decoded(bodies: Iterable[bytes], tenant: str = "default") -> list[Update]:
    return [update for body in bodies if (update := decode_update(tenant, body))]


def ticks(live: LiveSessions, key: SessionKey = KEY) -> list[int]:
    return [(point.at_ms - AT_MS) // TICK_MS for point in decoded(live.points(key))]


def test_the_update_of_the_tick_that_was_stored_replaces_what_was_stored(
    live: LiveSessions,
) -> None:
    stored, published = update(1), update(1, quiet_until=timestamp(AT_MS))
    assert live.add_stored(*with_body(stored), 2.0)
    assert not live.add_stored(*with_body(published), 2.0)
    assert not live.add(*with_body(update(0)))
    assert live.add(*with_body(published))
    assert not live.add(*with_body(published))
    assert live.points(KEY) == [encode_update(published)]


def test_the_last_five_minutes_are_kept_oldest_first(live: LiveSessions) -> None:
    for tick in range(100):
        live.add(*with_body(update(tick)))
    assert ticks(live) == list(range(40, 100))


def test_the_five_minutes_end_at_the_newest_update(live: LiveSessions) -> None:
    for tick in (0, 1, 30, 61):
        live.add(*with_body(update(tick)))
    assert ticks(live) == [30, 61]


@given(st.lists(st.integers(0, 200), max_size=60))
def test_only_newer_updates_are_added(order: list[int]) -> None:
    live = LiveSessions(5, lambda: 0.0)
    newest: list[int] = []
    for tick in order:
        if not newest or tick > newest[-1]:
            newest.append(tick)
            assert live.add(*with_body(update(tick)))
        else:
            assert not live.add(*with_body(update(tick)))
    assert ticks(live) == [tick for tick in newest if tick > newest[-1] - 60]


def test_tenants_do_not_see_each_others_sessions(live: LiveSessions) -> None:
    live.add(*with_body(update(tenant="acme", score=0.1)))
    live.add(*with_body(update(tenant="globex", score=0.2)))
    assert [each.score for each in decoded(live.newest("acme"))] == [0.1]
    assert live.newest("default") == []
    assert live.points(SessionKey("globex", "other")) == []
    assert len(live) == 2


def test_a_session_without_updates_is_removed(live: LiveSessions, time: Time) -> None:
    live.add(*with_body(update(session="silent")))
    time.s += 200
    live.add(*with_body(update(session="live")))
    time.s += 101
    live.remove_expired()
    assert live.ids("default") == {"live"}
    time.s += 300
    live.remove_expired()
    assert len(live) == 0


def test_a_session_that_was_received_for_five_minutes_needs_no_query(
    live: LiveSessions, time: Time
) -> None:
    for tick in range(HISTORY_S // 5 + 1):
        live.add(*with_body(update(tick)))
        session = live.get(KEY)
        assert session is not None
        assert session.should_query(time.s) == (tick < HISTORY_S // 5)


def test_a_missed_tick_needs_a_query(live: LiveSessions, time: Time) -> None:
    for tick in (*range(100), 101):
        live.add(*with_body(update(tick)))
    session = live.get(KEY)
    assert session is not None
    assert session.should_query(time.s)


def test_stored_points_are_inserted_between_received_ones(live: LiveSessions, time: Time) -> None:
    for tick in (90, 92, 95):
        live.add(*with_body(update(tick, score=0.9)))
    stored = {
        AT_MS + tick * TICK_MS: encode_update(update(tick, score=0.1))
        for tick in (1, 35, 36, 91, 92, 99)
    }
    session = live.get(KEY)
    assert session is not None
    session.fill(stored, time.s)
    assert ticks(live) == [36, 90, 91, 92, 95]
    received = [each.score for each in decoded(live.points(KEY))]
    assert received == [0.1, 0.9, 0.1, 0.9, 0.9]


def test_the_database_is_queried_again_until_it_must_have_every_score(
    live: LiveSessions, time: Time
) -> None:
    live.add(*with_body(update(0)))
    session = live.get(KEY)
    assert session is not None
    session.record_query(time.s)
    assert not session.should_query(time.s + 4)
    session.fill({}, time.s + 4)
    assert session.should_query(time.s + 6)
    session.fill({}, time.s + 31)
    assert not session.should_query(time.s + 100)
