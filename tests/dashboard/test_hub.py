from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.dashboard.hub import HISTORY_S, Hub
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import Contributions
from conductor_actors.updates import Update, decode_update, encode_update, timestamp
from tests.support.score_rows import AT_MS, SIGNALS

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
def hub(time: Time) -> Hub:
    return Hub(5, time)


def update(tick: int = 0, session: str = "s", tenant: str = "default", **more: Any) -> Update:
    added = Contributions(0.1, 0.1, 0.1, 0.1, 0.0)
    at = timestamp(AT_MS + tick * TICK_MS)
    given = {"score": 0.5, "category": "MODERATE", "signals": SIGNALS, "contributions": added}
    return Update(at, tenant, session, "e", **{**given, **more})


def decoded(bodies: Iterable[bytes], tenant: str = "default") -> list[Update]:
    return [update for body in bodies if (update := decode_update(tenant, body))]


def ticks(hub: Hub, key: SessionKey = KEY) -> list[int]:
    return [(point.at_ms - AT_MS) // TICK_MS for point in decoded(hub.points(key))]


def test_the_last_five_minutes_are_kept_oldest_first(hub: Hub) -> None:
    for tick in range(100):
        hub.take(update(tick))
    assert ticks(hub) == list(range(40, 100))


def test_five_minutes_end_at_the_newest_whatever_is_missing(hub: Hub) -> None:
    for tick in (0, 1, 30, 61):
        hub.take(update(tick))
    assert ticks(hub) == [30, 61]


@given(st.lists(st.integers(0, 200), max_size=60))
def test_only_what_is_newer_counts_in_whatever_order_it_comes(order: list[int]) -> None:
    hub = Hub(5, lambda: 0.0)
    newest: list[int] = []
    for tick in order:
        if not newest or tick > newest[-1]:
            newest.append(tick)
            assert hub.take(update(tick)) is not None
        else:
            assert hub.take(update(tick)) is None
    assert ticks(hub) == [tick for tick in newest if tick > newest[-1] - 60]


def test_tenants_share_nothing(hub: Hub) -> None:
    hub.take(update(tenant="acme", score=0.1))
    hub.take(update(tenant="globex", score=0.2))
    assert [each.score for each in decoded(hub.newest("acme"))] == [0.1]
    assert hub.newest("default") == []
    assert hub.points(SessionKey("globex", "other")) == []
    assert len(hub) == 2


def test_a_session_that_is_silent_too_long_is_forgotten(hub: Hub, time: Time) -> None:
    hub.take(update(session="silent"))
    time.s += 200
    hub.take(update(session="live"))
    time.s += 101
    hub.forget_silent()
    assert hub.names("default") == {"live"}
    time.s += 300
    hub.forget_silent()
    assert len(hub) == 0


def test_a_session_heard_from_the_start_of_five_minutes_lacks_nothing(hub: Hub, time: Time) -> None:
    for tick in range(HISTORY_S // 5 + 1):
        hub.take(update(tick))
        track = hub.track(KEY)
        assert track is not None
        assert track.lacks_points(time.s) == (tick < HISTORY_S // 5)


def test_a_tick_that_was_missed_is_lacking(hub: Hub, time: Time) -> None:
    for tick in (*range(100), 101):
        hub.take(update(tick))
    track = hub.track(KEY)
    assert track is not None
    assert track.lacks_points(time.s)


def test_what_the_database_has_is_put_between_what_was_heard(hub: Hub, time: Time) -> None:
    for tick in (90, 92, 95):
        hub.take(update(tick, score=0.9))
    stored = {
        AT_MS + tick * TICK_MS: encode_update(update(tick, score=0.1))
        for tick in (1, 35, 36, 91, 92, 99)
    }
    track = hub.track(KEY)
    assert track is not None
    track.fill(stored, time.s)
    assert ticks(hub) == [36, 90, 91, 92, 95]
    heard = [each.score for each in decoded(hub.points(KEY))]
    assert heard == [0.1, 0.9, 0.1, 0.9, 0.9]


def test_the_database_is_asked_again_until_it_must_have_everything(hub: Hub, time: Time) -> None:
    hub.take(update(0))
    track = hub.track(KEY)
    assert track is not None
    track.asks(time.s)
    assert not track.lacks_points(time.s + 4)
    track.fill({}, time.s + 4)
    assert track.lacks_points(time.s + 6)
    track.fill({}, time.s + 31)
    assert not track.lacks_points(time.s + 100)
