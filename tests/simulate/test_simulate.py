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

from conductor_actors.domain.events import DECODERS, Event
from conductor_actors.domain.intake import Entry, IntakeRules
from conductor_actors.domain.scoring import Scoring, Signals, category, clamped
from conductor_actors.domain.session_state import SessionRules, SessionState
from conductor_actors.domain.ticks import TickDue
from conductor_actors.simulate import Simulation, bulk, feed
from conductor_actors.simulate.programme import Scene, Script
from tests.support.event_samples import CHAT, CLOSED, LIVE, REACTION, SYNC, VOTE
from tests.support.ticking import TickingIntake

BEGUN_AT_S = 1767528000.0
STEP_S = 0.25

Sent = tuple[str, bytes]
Score = tuple[float, Signals]


def play(simulation: Simulation, length_s: float) -> list[list[Sent]]:
    steps = range(int(length_s / STEP_S))
    return [simulation.step(BEGUN_AT_S + step * STEP_S, STEP_S) for step in steps]


def flat(steps: Iterable[list[Sent]]) -> list[Sent]:
    return [sent for step in steps for sent in step]


def scores(simulation: Simulation, length_s: float) -> dict[str, list[Score]]:
    """Score a simulation by the domain alone, at every tick."""
    intake = TickingIntake(IntakeRules())
    states: dict[tuple[str, str], SessionState] = {}
    found: dict[str, list[Score]] = {}
    for number, step in enumerate(play(simulation, length_s)):
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
                    state = states.get(key) or SessionState.new(key[1], SessionRules())
                    states[key] = state.after(events)
    return found


def decoded(sent: Iterable[Sent]) -> list[tuple[str, Event]]:
    found = (DECODERS[name](body, 0) for name, body in sent)
    return [event for event in found if event is not None]


@pytest.fixture(scope="module")
def sent() -> list[tuple[str, dict[str, Any]]]:
    events = flat(play(Simulation(sessions=12, seed=1), 300))
    return [(name, json.loads(body)) for name, body in events]


def presence(sent: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """Write each user's joins and leaves in order, as a text of J and L."""
    users: dict[str, str] = {}
    for _, body in sent:
        letter = {"user_join": "J", "user_leave": "L"}.get(body.get("type", ""))
        if letter:
            users[body["userId"]] = users.get(body["userId"], "") + letter
    return list(users.values())


def test_the_same_seed_and_steps_give_the_same_events() -> None:
    first, second = (play(Simulation(seed=7), 30) for _ in range(2))
    assert first == second


def test_another_seed_gives_other_events_and_other_ids() -> None:
    first, second = (set(flat(play(Simulation(sessions=3, seed=n), 30))) for n in (1, 2))
    assert not {body for name, body in first & second if name == CHAT}


def test_every_event_is_one_that_can_be_read() -> None:
    events = flat(play(Simulation(seed=3), 120))
    kinds = Counter(type(event).__name__ for _, event in decoded(events))
    assert len(kinds) == 6
    assert {name for name, _ in events} == set(DECODERS)


def test_every_session_begins_at_once_and_under_its_own_name() -> None:
    first = decoded(flat(play(Simulation(sessions=30), 3)))
    assert len({session_id for session_id, _ in first}) == 30
    assert "keynote-opening" in {session_id for session_id, _ in first}


def test_the_names_of_a_tenant_begin_with_it_and_those_of_the_default_tenant_do_not() -> None:
    events = flat(play(Simulation(sessions=4, tenants=["default", "acme"]), 5))
    of_acme = [name.removeprefix("acme:") for name, _ in events if ":" in name]
    assert 0 < len(of_acme) < len(events)
    assert set(of_acme) <= set(DECODERS)


def test_events_come_in_the_order_of_their_times_but_for_those_delayed_on_their_way() -> None:
    simulation = Simulation(sessions=4)
    simulation.step(BEGUN_AT_S, 10)
    chats = [json.loads(b) for name, b in simulation.step(BEGUN_AT_S + 10, 60) if name == CHAT]
    times = [datetime.fromisoformat(chat["message"]["timestamp"]) for chat in chats]
    late = [newest - at for newest, at in zip(accumulate(times, max), times, strict=True)]
    assert len({chat["sessionId"] for chat in chats}) == 4
    assert timedelta(0) < max(late) < timedelta(seconds=1.1)


def test_a_message_comes_with_a_mirror_that_sometimes_overtakes_it(
    sent: list[tuple[str, dict[str, Any]]],
) -> None:
    chats = {b["message"]["id"]: n for n, (name, b) in reversed([*enumerate(sent)]) if name == CHAT}
    mirrors = {
        b["payload"]["id"]: n for n, (_, b) in enumerate(sent) if b.get("type") == "message_created"
    }
    both = chats.keys() & mirrors.keys()
    assert len(both) >= 0.99 * len(chats.keys() | mirrors.keys())
    assert 0 < sum(mirrors[one] < chats[one] for one in both) < len(both) / 3


def test_a_message_is_sometimes_delivered_twice(sent: list[tuple[str, dict[str, Any]]]) -> None:
    times = Counter(body["message"]["id"] for name, body in sent if name == CHAT)
    assert set(times.values()) == {1, 2}


def test_users_have_two_devices_and_leave_twice_or_too_early_and_come_again(
    sent: list[tuple[str, dict[str, Any]]],
) -> None:
    users = presence(sent)
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
    "a poll of others": lambda _, b: b.get("resource") == "POLL" and "type" not in b,
    "a question": lambda _, b: b.get("resource") == "QUESTION",
    "a direct message": lambda _, b: b.get("resource") == "DIRECT_MESSAGE",
    "presence as sync event": lambda n, b: n == SYNC and b.get("type") == "user_join",
    "presence as live event": lambda n, b: n == LIVE and b["type"] == "user_leave",
    "a reaction": lambda n, _: n == REACTION,
    "a mirrored reaction": lambda n, b: n == SYNC and b.get("type") == "reaction",
    "a reaction of nobody": lambda n, b: n == REACTION and "userId" not in b,
    "a mirrored reaction of nobody": lambda _, b: b.get("type") == "reaction" and "userId" not in b,
    "a vote of nobody": lambda n, b: n == VOTE and "userId" not in b,
    "a flat end of a poll": lambda n, b: n == CLOSED and "pollId" in b,
    "a nested end of a poll": lambda n, b: n == CLOSED and "poll" in b,
}


@pytest.mark.parametrize("quirk", QUIRKS.values(), ids=QUIRKS.keys())
def test_it_has_the_quirks_of_real_producers(
    quirk: Quirk, sent: list[tuple[str, dict[str, Any]]]
) -> None:
    assert any(quirk(name, body) for name, body in sent)


def test_scenes_follow_each_other_and_begin_anew() -> None:
    scenes = Scene(10, 0.1, 1), Scene(5, 0.2, 2), Scene(20, 0.3, 3)
    script = Script("talk", 10, scenes)
    shown = [scenes.index(script.scene_at(into_s)) for into_s in (0, 9.9, 10, 14.9, 15, 34.9, 35)]
    assert shown == [0, 0, 1, 1, 2, 2, 0]


@pytest.mark.parametrize("seed", range(5))
def test_a_first_viewer_sees_different_categories_within_ten_seconds(seed: int) -> None:
    found = scores(Simulation(sessions=8, seed=seed), 11)
    assert len(found) == 8
    assert len({category(history[-1][0]) for history in found.values()}) >= 3


@pytest.mark.parametrize("seed", range(5))
def test_scores_move_visibly_within_thirty_seconds(seed: int) -> None:
    found = scores(Simulation(sessions=8, seed=seed), 31)
    moved = [[score for score, _ in history] for history in found.values()]
    assert sum(max(history) - min(history) > 0.1 for history in moved) >= 5


@pytest.mark.parametrize("seed", range(5))
def test_one_session_is_very_lively_one_gets_boring_and_one_is_left_by_most(seed: int) -> None:
    found = scores(Simulation(sessions=8, seed=seed), 200)
    assert mean(score for score, _ in found["keynote-opening"]) > 0.75
    fading = [score for score, _ in found["class-statistics"]]
    assert max(fading[:10]) > 0.4
    assert min(fading) < 0.2
    exodus = [signals for _, signals in found["town-hall-budget"]]
    assert max(signals.user_leave_rate for signals in exodus) > 0.4
    assert exodus[5].total_users > 60
    assert min(signals.total_users for signals in exodus[5:]) < 20
    assert exodus[-1].total_users > 45


def test_a_demo_of_eight_sessions_sends_twenty_to_sixty_events_a_second() -> None:
    assert 20 < len(flat(play(Simulation(sessions=8), 300))) / 300 < 60


def test_bulk_events_can_be_read_and_are_spread_evenly() -> None:
    found = decoded(bulk(10_000, 16))
    assert set(Counter(session_id for session_id, _ in found).values()) == {10_000 // 16}
    kinds = Counter((session_id, type(event).__name__) for session_id, event in found)
    assert len(kinds) == 16 * 4  # no session has but one kind of events


def test_bulk_events_have_about_two_hundred_bytes_and_ids_of_their_own() -> None:
    events = list(bulk(10_000, 16))
    assert 170 < mean(len(body) for _, body in events) < 230
    chats = [json.loads(body)["message"]["id"] for name, body in events if name == CHAT]
    assert 6_500 < len(set(chats)) == len(chats) < 7_500


def test_bulk_events_are_decided_by_their_seed() -> None:
    assert list(bulk(100, 3, seed=1)) == list(bulk(100, 3, seed=1))
    assert list(bulk(100, 3, seed=1)) != list(bulk(100, 3, seed=2))


class StopAfter(threading.Event):
    """Stop after so many waits, each of which takes no time."""

    def __init__(self, waits: int, meanwhile: Callable[[int], None] = lambda _: None) -> None:
        super().__init__()
        self._left = waits
        self._meanwhile = meanwhile

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout == STEP_S
        self._left -= 1
        self._meanwhile(self._left)
        if self._left == 0:
            self.set()
        return self.is_set()


def stored(server: fakeredis.FakeServer) -> int:
    client = fakeredis.FakeRedis(server=server)
    return sum(client.xlen(name) for name in DECODERS)


def test_the_feeder_adds_events_to_their_streams_until_it_is_stopped() -> None:
    server = fakeredis.FakeServer()
    feed(fakeredis.FakeRedis(server=server), Simulation(sessions=2), StopAfter(20))
    client = fakeredis.FakeRedis(server=server)
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(LIVE))
    assert all(fields.keys() == {b"data"} for _, fields in entries)
    assert all(DECODERS[LIVE](fields[b"data"], 0) for _, fields in entries)
    assert stored(server) > len(entries) > 20


def test_the_feeder_goes_on_when_redis_is_back() -> None:
    server = fakeredis.FakeServer()
    counts: list[int] = []

    def meanwhile(left: int) -> None:
        server.connected = True
        counts.append(stored(server))
        server.connected = not 5 <= left < 10

    feed(fakeredis.FakeRedis(server=server), Simulation(sessions=8), StopAfter(20, meanwhile))
    assert counts[0] < counts[10] == counts[15] < counts[-1]
