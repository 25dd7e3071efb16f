import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import accumulate
from statistics import mean
from typing import Any, cast

import fakeredis
import pytest

from conductor_actors.domain.draft import apply_events
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.events import DECODERS, Event
from conductor_actors.domain.intake_state import IntakeRules
from conductor_actors.domain.scoring import Scoring, Signals, category, clamped
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.domain.session_state import SessionState
from conductor_actors.domain.ticks import TickDue
from conductor_actors.simulate import Simulation, bulk, feed
from conductor_actors.simulate.programme import Scene, Script
from tests.support.event_samples import CHAT, CLOSED, LIVE, REACTION, SYNC, VOTE
from tests.support.ticking import TickingIntake

BEGUN_AT_S = 1767528000.0
STEP_S = 0.25

NamedBody = tuple[str, bytes]
NamedJson = tuple[str, dict[str, Any]]
Score = tuple[float, Signals]


def run(simulation: Simulation, length_s: float) -> list[list[NamedBody]]:
    steps = range(int(length_s / STEP_S))
    return [simulation.step(BEGUN_AT_S + step * STEP_S, STEP_S) for step in steps]


def flatten(steps: Iterable[list[NamedBody]]) -> list[NamedBody]:
    return [event for step in steps for event in step]


def score_ticks(simulation: Simulation, length_s: float) -> dict[str, list[Score]]:
    """Score a simulation by the domain alone, at every tick."""
    intake = TickingIntake(IntakeRules())
    states: dict[tuple[str, str], SessionState] = {}
    found: dict[str, list[Score]] = {}
    for number, step in enumerate(run(simulation, length_s)):
        at_ms = int((BEGUN_AT_S + number * STEP_S) * 1000)
        entries: list[Entry] = [(at_ms, order, *sent) for order, sent in enumerate(step)]
        for output in intake.take_ticking(entries, at_ms + 250):
            if isinstance(output, TickDue):
                for (_, session_id), state in states.items():
                    signals = state.signals(output.at_ms)
                    score = clamped(Scoring().contributions(signals).total())
                    found.setdefault(session_id, []).append((score, signals))
            else:
                for key, events in output.items():
                    state = states.get(key) or SessionState(key[1], SessionRules())
                    states[key] = apply_events(state, events)
    return found


def decode(events: Iterable[NamedBody]) -> list[tuple[str, Event]]:
    found = (DECODERS[name](body, 0) for name, body in events)
    return [event for event in found if event is not None]


@pytest.fixture(scope="module")
def events() -> list[NamedJson]:
    simulated = flatten(run(Simulation(sessions=12, seed=1), 300))
    return [(name, json.loads(body)) for name, body in simulated]


def presence_by_user(events: list[NamedJson]) -> list[str]:
    """Return each user's joins and leaves in order, as a text of J and L."""
    users: dict[str, str] = {}
    for _, body in events:
        letter = {"user_join": "J", "user_leave": "L"}.get(body.get("type", ""))
        if letter:
            users[body["userId"]] = users.get(body["userId"], "") + letter
    return list(users.values())


def test_the_same_seed_and_steps_return_the_same_events() -> None:
    first, second = (run(Simulation(seed=7), 30) for _ in range(2))
    assert first == second


def test_different_seeds_return_different_events_with_different_ids() -> None:
    first, second = (set(flatten(run(Simulation(sessions=3, seed=n), 30))) for n in (1, 2))
    assert not {body for name, body in first & second if name == CHAT}


def test_every_event_can_be_decoded() -> None:
    events = flatten(run(Simulation(seed=3), 120))
    kinds = Counter(type(event).__name__ for _, event in decode(events))
    assert len(kinds) == 6
    assert {name for name, _ in events} == {CHAT, CLOSED, LIVE, REACTION, SYNC, VOTE}


def test_every_session_begins_at_once_with_its_own_id() -> None:
    first = decode(flatten(run(Simulation(sessions=30), 3)))
    assert len({session_id for session_id, _ in first}) == 30
    assert "keynote-opening" in {session_id for session_id, _ in first}


def test_names_have_the_prefix_of_their_tenant_except_those_of_the_default_tenant() -> None:
    events = flatten(run(Simulation(sessions=4, tenants=["default", "acme"]), 5))
    of_acme = [name.removeprefix("acme:") for name, _ in events if ":" in name]
    assert 0 < len(of_acme) < len(events)
    assert set(of_acme) <= set(DECODERS)


def test_events_arrive_in_the_order_of_their_times_unless_they_are_delayed() -> None:
    simulation = Simulation(sessions=4)
    simulation.step(BEGUN_AT_S, 10)
    chats = [json.loads(b) for name, b in simulation.step(BEGUN_AT_S + 10, 60) if name == CHAT]
    times = [datetime.fromisoformat(chat["message"]["timestamp"]) for chat in chats]
    delays = [newest - at for newest, at in zip(accumulate(times, max), times, strict=True)]
    assert len({chat["sessionId"] for chat in chats}) == 4
    assert timedelta(0) < max(delays) < timedelta(seconds=1.1)


def test_a_message_has_a_mirror_that_sometimes_arrives_first(
    events: list[NamedJson],
) -> None:
    chats = {
        b["message"]["id"]: n for n, (name, b) in reversed([*enumerate(events)]) if name == CHAT
    }
    mirrors = {
        b["payload"]["id"]: n
        for n, (_, b) in enumerate(events)
        if b.get("type") == "message_created"
    }
    both = chats.keys() & mirrors.keys()
    assert len(both) >= 0.99 * len(chats.keys() | mirrors.keys())
    assert 0 < sum(mirrors[message_id] < chats[message_id] for message_id in both) < len(both) / 3


def test_a_message_is_sometimes_delivered_twice(events: list[NamedJson]) -> None:
    deliveries = Counter(body["message"]["id"] for name, body in events if name == CHAT)
    assert set(deliveries.values()) == {1, 2}


def test_some_users_have_two_devices_leave_twice_leave_before_they_join_or_join_again(
    events: list[NamedJson],
) -> None:
    users = presence_by_user(events)
    assert any("JJ" in user for user in users)
    assert any(user.startswith("LJ") for user in users)
    assert any(user.endswith("JLL") and "JJ" not in user for user in users)
    assert any("JLJ" in user for user in users)


Quirk = Callable[[str, dict[str, Any]], bool]

QUIRKS: dict[str, Quirk] = {
    "no event id": lambda n, b: n == CHAT and "eventId" not in b,
    "an unknown event id": lambda _, b: b.get("eventId") == "unknown",
    "the session's id as event id": lambda _, b: "eventId" in b and b["eventId"] == b["sessionId"],
    "a real event id": lambda _, b: b.get("eventId") == "summer-summit-2026",
    "an author by authorId alone": lambda n, b: n == CHAT and "author" not in b["message"],
    "an author by id alone": lambda n, b: n == CHAT and "authorId" not in b["message"],
    "an author beside the message": lambda n, b: n == CHAT and "userId" in b,
    "a deleted message": lambda _, b: b.get("type") == "message_deleted",
    "an updated message": lambda _, b: b.get("type") == "message_updated",
    "typing": lambda _, b: b.get("type") == "typing",
    "a presence update": lambda _, b: b.get("type") == "presence_update",
    "a poll mirrored as a resource": lambda _, b: b.get("resource") == "POLL" and "type" not in b,
    "a question": lambda _, b: b.get("resource") == "QUESTION",
    "a direct message": lambda _, b: b.get("resource") == "DIRECT_MESSAGE",
    "presence as sync event": lambda n, b: n == SYNC and b.get("type") == "user_join",
    "presence as live event": lambda n, b: n == LIVE and b["type"] == "user_leave",
    "a reaction": lambda n, _: n == REACTION,
    "a mirrored reaction": lambda n, b: n == SYNC and b.get("type") == "reaction",
    "a reaction without a user": lambda n, b: n == REACTION and "userId" not in b,
    "a mirrored reaction without a user": lambda _, b: (
        b.get("type") == "reaction" and "userId" not in b
    ),
    "a vote without a user": lambda n, b: n == VOTE and "userId" not in b,
    "a flat end of a poll": lambda n, b: n == CLOSED and "pollId" in b,
    "a nested end of a poll": lambda n, b: n == CLOSED and "poll" in b,
}


@pytest.mark.parametrize("quirk", QUIRKS.values(), ids=QUIRKS.keys())
def test_the_events_have_the_quirks_of_real_producers(
    quirk: Quirk, events: list[NamedJson]
) -> None:
    assert any(quirk(name, body) for name, body in events)


def test_scenes_follow_each_other_and_then_repeat() -> None:
    scenes = Scene(10, 0.1, 1), Scene(5, 0.2, 2), Scene(20, 0.3, 3)
    script = Script("talk", 10, scenes, "A Talk")
    found = [
        scenes.index(script.scene_at(elapsed_s)) for elapsed_s in (0, 9.9, 10, 14.9, 15, 34.9, 35)
    ]
    assert found == [0, 0, 1, 1, 2, 2, 0]


@pytest.mark.parametrize("seed", range(5))
def test_sessions_have_different_categories_within_ten_seconds(seed: int) -> None:
    found = score_ticks(Simulation(sessions=8, seed=seed), 11)
    assert len(found) == 8
    assert len({category(history[-1][0]) for history in found.values()}) >= 3


@pytest.mark.parametrize("seed", range(5))
def test_scores_change_visibly_within_thirty_seconds(seed: int) -> None:
    found = score_ticks(Simulation(sessions=8, seed=seed), 31)
    scores = [[score for score, _ in history] for history in found.values()]
    assert sum(max(history) - min(history) > 0.1 for history in scores) >= 5


@pytest.mark.parametrize("seed", range(5))
def test_one_session_is_lively_one_fades_and_most_people_leave_one(seed: int) -> None:
    found = score_ticks(Simulation(sessions=8, seed=seed), 200)
    assert mean(score for score, _ in found["keynote-opening"]) > 0.75
    fading = [score for score, _ in found["class-statistics"]]
    assert max(fading[:10]) > 0.4
    assert min(fading) < 0.2
    exodus = [signals for _, signals in found["town-hall-budget"]]
    assert max(signals.user_leave_rate for signals in exodus) > 0.4
    assert exodus[5].total_users > 60
    assert min(signals.total_users for signals in exodus[5:]) < 35
    assert exodus[-1].total_users > 45


def test_a_demo_of_eight_sessions_sends_twenty_to_sixty_events_a_second() -> None:
    assert 20 < len(flatten(run(Simulation(sessions=8), 300))) / 300 < 60


def test_bulk_events_can_be_decoded_and_are_spread_evenly() -> None:
    found = decode(bulk(10_000, 16))
    assert set(Counter(session_id for session_id, _ in found).values()) == {10_000 // 16}
    kinds = Counter((session_id, type(event).__name__) for session_id, event in found)
    assert len(kinds) == 16 * 4  # every session has every kind of event


def test_bulk_events_have_about_200_bytes_and_unique_ids() -> None:
    events = list(bulk(10_000, 16))
    assert 170 < mean(len(body) for _, body in events) < 230
    chats = [json.loads(body)["message"]["id"] for name, body in events if name == CHAT]
    assert 6_500 < len(set(chats)) == len(chats) < 7_500


def test_bulk_events_depend_on_their_seed_alone() -> None:
    assert list(bulk(100, 3, seed=1)) == list(bulk(100, 3, seed=1))
    assert list(bulk(100, 3, seed=1)) != list(bulk(100, 3, seed=2))


class StopAfter(threading.Event):
    """Set itself after a number of waits, which take no time."""

    def __init__(self, waits: int, on_wait: Callable[[int], None] = lambda _: None) -> None:
        super().__init__()
        self._left = waits
        self._on_wait = on_wait

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout == STEP_S
        self._left -= 1
        self._on_wait(self._left)
        if self._left == 0:
            self.set()
        return self.is_set()


def count_entries(server: fakeredis.FakeServer) -> int:
    client = fakeredis.FakeRedis(server=server)
    return sum(client.xlen(name) for name in DECODERS)


def test_the_feed_adds_events_to_their_streams_until_it_is_stopped() -> None:
    server = fakeredis.FakeServer()
    feed(fakeredis.FakeRedis(server=server), Simulation(sessions=2), StopAfter(20))
    client = fakeredis.FakeRedis(server=server)
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(LIVE))
    assert all(fields.keys() == {b"data"} for _, fields in entries)
    assert all(DECODERS[LIVE](fields[b"data"], 0) for _, fields in entries)
    assert count_entries(server) > len(entries) > 20


def test_the_feed_continues_when_redis_is_back() -> None:
    server = fakeredis.FakeServer()
    counts: list[int] = []

    def on_wait(left: int) -> None:
        server.connected = True
        counts.append(count_entries(server))
        server.connected = not 5 <= left < 10

    feed(fakeredis.FakeRedis(server=server), Simulation(sessions=8), StopAfter(20, on_wait))
    assert counts[0] < counts[10] == counts[15] < counts[-1]
