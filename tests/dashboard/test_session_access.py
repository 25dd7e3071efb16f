"""Which sessions the token of an event opens, by live updates and by the database."""

import pytest

from conductor_actors.dashboard.access.auth import Caller, Denied
from conductor_actors.dashboard.scores.live_sessions import SESSION_EXPIRY_S, LiveSessions
from conductor_actors.dashboard.session_access import (
    KNOWN_FOR_S,
    MAX_KNOWN_EVENTS,
    MAX_KNOWN_LISTS,
    SessionAccess,
)
from conductor_actors.domain.identity import SessionKey
from conductor_actors.errors import Unavailable
from conductor_actors.wire.updates import Update, update_of
from tests.dashboard.stored_sessions import StoredEvents, access_of
from tests.support.score_rows import AT_MS, row, with_body

pytestmark = pytest.mark.anyio

OF_EVENT = Caller("acme", events=frozenset({"expo"}))


def update(session_id: str, event_id: str, ticks: int = 0, tenant: str = "acme") -> Update:
    at_ms = AT_MS + ticks * 5000
    return update_of(row(session_id, at_ms, event_id=event_id, tenant_id=tenant))


class Sessions:
    """Live and stored sessions, and a clock that stands still."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.live = LiveSessions(5, lambda: self.now_s)
        self.stored = StoredEvents({})
        self.access: SessionAccess = access_of(self.live, self.stored, lambda: self.now_s)

    def store(self, session_id: str, event_id: str, tenant: str = "acme") -> None:
        self.stored.events[SessionKey(tenant, session_id)] = event_id


@pytest.fixture
def sessions() -> Sessions:
    return Sessions()


async def test_a_live_session_is_of_the_event_of_its_newest_update(sessions: Sessions) -> None:
    sessions.store("keynote", "expo")
    sessions.live.add(*with_body(update("keynote", "fair")))
    assert not await sessions.access.can_see(OF_EVENT, "keynote")
    assert await sessions.access.visible(OF_EVENT) == []
    sessions.live.add(*with_body(update("keynote", "expo", ticks=1)))
    assert await sessions.access.can_see(OF_EVENT, "keynote")
    assert await sessions.access.visible(OF_EVENT) == ["keynote"]
    assert sessions.stored.reads == 1


async def test_a_session_that_is_not_live_is_of_the_event_that_the_database_has(
    sessions: Sessions,
) -> None:
    sessions.store("keynote", "expo")
    sessions.store("other", "fair")
    assert await sessions.access.can_see(OF_EVENT, "keynote")
    assert not await sessions.access.can_see(OF_EVENT, "other")
    assert not await sessions.access.can_see(OF_EVENT, "unknown")
    assert await sessions.access.visible(OF_EVENT) == ["keynote"]


async def test_an_event_of_the_same_name_of_another_tenant_is_another_one(
    sessions: Sessions,
) -> None:
    sessions.store("stored", "expo", "globex")
    sessions.live.add(*with_body(update("live", "expo", tenant="globex")))
    assert not await sessions.access.can_see(OF_EVENT, "stored")
    assert not await sessions.access.can_see(OF_EVENT, "live")
    assert await sessions.access.visible(OF_EVENT) == []
    assert sessions.access.visible_live(OF_EVENT) == set()


async def test_a_token_for_sessions_and_events_opens_both(sessions: Sessions) -> None:
    sessions.store("keynote", "expo")
    sessions.live.add(*with_body(update("live", "expo")))
    both = Caller("acme", frozenset({"named"}), events=frozenset({"expo"}))
    assert await sessions.access.visible(both) == ["keynote", "live", "named"]
    assert sessions.access.visible_live(both) == {"live", "named"}
    for session_id, can_see in (("named", True), ("keynote", True), ("other", False)):
        assert await sessions.access.can_see(both, session_id) is can_see


@pytest.mark.parametrize(
    "caller", [Caller("acme", events=frozenset()), Caller("acme", frozenset())]
)
async def test_a_token_for_no_event_or_no_session_opens_nothing(
    sessions: Sessions, caller: Caller
) -> None:
    sessions.live.add(*with_body(update("live", "expo")))
    assert await sessions.access.visible(caller) == []
    assert sessions.access.visible_live(caller) == set()
    with pytest.raises(Denied, match="not among those of your token"):
        await sessions.access.check(caller, "live")


async def test_without_either_claim_a_token_opens_all_and_nothing_is_asked(
    sessions: Sessions,
) -> None:
    caller = Caller("acme")
    await sessions.access.check(caller, "any")
    assert await sessions.access.visible(caller) is None
    assert sessions.access.visible_live(caller) is None
    named = Caller("acme", frozenset({"a"}))
    assert await sessions.access.visible(named) == ["a"]
    assert not await sessions.access.can_see(named, "b")
    assert sessions.stored.reads == 0


async def test_the_database_is_asked_once_in_a_while_for_each_session(sessions: Sessions) -> None:
    for _ in range(3):
        assert not await sessions.access.can_see(OF_EVENT, "keynote")
        assert await sessions.access.visible(OF_EVENT) == []
    assert sessions.stored.reads == 2
    sessions.store("keynote", "expo")
    sessions.now_s = KNOWN_FOR_S
    assert await sessions.access.can_see(OF_EVENT, "keynote")
    assert await sessions.access.visible(OF_EVENT) == ["keynote"]
    assert sessions.stored.reads == 4


async def test_what_is_known_of_stored_sessions_is_bounded(sessions: Sessions) -> None:
    for number in range(MAX_KNOWN_EVENTS + 10):
        await sessions.access.can_see(OF_EVENT, f"s{number}")
    assert len(sessions.access._events) == MAX_KNOWN_EVENTS
    for number in range(MAX_KNOWN_LISTS + 10):
        await sessions.access.visible(Caller("acme", events=frozenset({f"e{number}"})))
    assert len(sessions.access._lists) == MAX_KNOWN_LISTS


async def test_while_the_database_is_away_live_sessions_are_seen_and_others_are_not_known(
    sessions: Sessions,
) -> None:
    sessions.live.add(*with_body(update("live", "expo")))
    sessions.stored.is_away = True
    assert await sessions.access.can_see(OF_EVENT, "live")
    assert sessions.access.visible_live(OF_EVENT) == {"live"}
    with pytest.raises(Unavailable):
        await sessions.access.can_see(OF_EVENT, "keynote")


async def test_ids_that_the_database_can_not_compare_are_not_asked_for(sessions: Sessions) -> None:
    odd = Caller("acme", frozenset({"\0", "ok"}), events=frozenset({"\0", "\ud800", "x" * 256}))
    assert await sessions.access.visible(odd) == ["ok"]
    assert sessions.stored.reads == 0
    for bad in ("", "a\0", "x" * 256):
        with pytest.raises(Denied) as denied:
            await sessions.access.check(odd, bad)
        assert denied.value.code == "invalid_session"


def test_live_sessions_are_found_by_their_events_until_they_are_over() -> None:
    now_s = 0.0
    live = LiveSessions(5, lambda: now_s)
    live.add(*with_body(update("a", "a")))  # a placeholder: no real event is known yet
    live.add(*with_body(update("b", "expo")))
    assert (live.ids_of_events("acme", ["a"]), live.take_moved()) == ({"a"}, set())
    live.add(*with_body(update("a", "expo", ticks=1)))
    assert live.ids_of_events("acme", ["expo", "a"]) == {"a", "b"}
    assert live.take_moved() == {SessionKey("acme", "a")}
    assert live.take_moved() == set()
    now_s = SESSION_EXPIRY_S + 1
    live.remove_expired()
    assert (live.ids_of_events("acme", ["expo"]), live._by_event) == (set(), {})
