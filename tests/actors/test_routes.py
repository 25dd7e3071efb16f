"""Where sessions' mail goes, and what becomes of it when a session is passivated."""

import pytest

from conductor_actors.actors.dispatcher import Dispatcher
from conductor_actors.actors.messages import Countdown, EventBatch, Passivate, StartSession, Tick
from conductor_actors.actors.routes import CHECK_EVERY_MS, Routes
from conductor_actors.domain.events import Event
from conductor_actors.domain.intake import EventsBySession
from tests.actors.cast import Cast
from tests.actors.session_events import chat, chats, poison
from tests.score_rows import AT_MS

TIMEOUT_S = 1800
OVER_MS = AT_MS + TIMEOUT_S * 1000
KEY = ("default", "s")


@pytest.fixture
def cast(dispatcher: Dispatcher) -> Cast:
    return Cast(dispatcher)


@pytest.fixture
def routes(cast: Cast) -> Routes:
    return Routes(cast.dispatcher, cast.supervisor, TIMEOUT_S)


def batch(events: list[Event], session_id: str = "s") -> EventsBySession:
    return EventsBySession({("default", session_id): events})


def tick(at_ms: int) -> Tick:
    return Tick(at_ms, is_live=False, sessions=Countdown(1, 0.0, 0.0))


def mail(start: StartSession) -> list[object]:
    return [envelope.message for envelope in start.mailbox.mail]


def test_each_session_is_told_its_own_events_and_everyone_every_tick(
    cast: Cast, routes: Routes
) -> None:
    ours, theirs = chats(2), [chat(7)]
    routes.deliver(EventsBySession({KEY: ours, ("acme", "s"): theirs}))
    routes.broadcast("tick")
    first, second = cast.supervisor.of(StartSession)
    assert (first.key, mail(first)) == (KEY, [EventBatch(ours), "tick"])
    assert (second.key, mail(second)) == (("acme", "s"), [EventBatch(theirs), "tick"])


def test_a_session_is_started_once(cast: Cast, routes: Routes) -> None:
    for _ in range(3):
        routes.deliver(batch(chats(1)))
    assert len(cast.supervisor.of(StartSession)) == len(routes) == 1


def test_a_session_is_passivated_after_its_timeout_without_an_event_whatever_ticks(
    cast: Cast, routes: Routes
) -> None:
    routes.deliver(batch(chats(1)))
    routes.passivate(OVER_MS - CHECK_EVERY_MS - 1)
    routes.broadcast(tick(OVER_MS - 5000))
    routes.passivate(OVER_MS - 1)
    assert len(routes) == 1
    routes.passivate(OVER_MS - 1 + CHECK_EVERY_MS)
    assert len(routes) == 0
    assert mail(cast.supervisor.take(StartSession))[-1] == Passivate()


def test_whoever_was_heard_of_in_time_stays(cast: Cast, routes: Routes) -> None:
    routes.deliver(batch(chats(1)))
    routes.deliver(batch([chat(1, AT_MS + 1)], "lively"))
    routes.passivate(OVER_MS)
    assert len(routes) == 1
    routes.broadcast("tick")
    silent, lively = (mail(start) for start in cast.supervisor.of(StartSession))
    assert (silent[-1], lively[-1]) == (Passivate(), "tick")


def test_mail_after_passivation_goes_to_a_successor_and_none_is_lost(
    cast: Cast, routes: Routes
) -> None:
    routes.deliver(batch(chats(3)))
    routes.broadcast(tick(AT_MS + 5000))
    routes.passivate(OVER_MS)
    routes.deliver(batch([chat(7, OVER_MS)]))  # while the old one has yet to stop
    routes.broadcast(tick(OVER_MS + 5000))
    cast.settle()
    assert [(row.at_ms, row.signals.chat_msgs_per_min) for row in cast.rows()] == [
        (AT_MS + 5000, 3),
        (OVER_MS + 5000, 1),
    ]
    assert len(cast.sessions) == len(routes) == 1
    assert (cast.dispatcher.waiting, cast.dispatcher.refused) == (0, 0)


def test_a_session_in_quarantine_is_passivated_once_it_is_out(cast: Cast, routes: Routes) -> None:
    """It would not hear of it, come back, and stay for good."""
    for _ in range(4):
        routes.deliver(batch([chat(), poison()]))
        routes.broadcast(tick(AT_MS + 5000))
        cast.settle()
    assert (len(routes), routes.listening()) == (1, 0)
    routes.passivate(OVER_MS)
    cast.clock.advance(300)
    cast.sessions.release_quarantined()
    assert (len(routes), routes.listening()) == (1, 1)
    routes.passivate(OVER_MS + CHECK_EVERY_MS)
    cast.settle()
    assert len(routes) == len(cast.sessions) == 0
