import time
from typing import cast

import fakeredis
import pytest

from conductor_actors.domain.commands import QuietSet, decode_command
from conductor_actors.simulate import Simulation, add_past
from conductor_actors.simulate.past import PAST_S
from tests.support.event_samples import CHAT, CLOSED, COMMANDS, LIVE, REACTION, SYNC, VOTE


@pytest.fixture
def client() -> fakeredis.FakeRedis:
    return fakeredis.FakeRedis()


def times_s(client: fakeredis.FakeRedis, name: str) -> list[float]:
    """Return the times of a stream's entries."""
    entries = cast("list[tuple[bytes, object]]", client.xrange(name))
    return [int(entry_id.split(b"-")[0]) / 1000 for entry_id, _ in entries]


def test_the_entries_of_the_past_have_the_ids_of_the_five_minutes_before_now(
    client: fakeredis.FakeRedis,
) -> None:
    now_s = time.time()

    assert add_past(client, Simulation(sessions=3))

    found = times_s(client, CHAT)
    assert found == sorted(found)
    assert found[0] == pytest.approx(now_s - PAST_S, abs=2)
    assert found[-1] == pytest.approx(now_s, abs=2)
    assert found[-1] <= time.time()
    assert all(client.xlen(name) for name in (CHAT, CLOSED, LIVE, REACTION, SYNC, VOTE))


def test_the_past_begins_after_the_newest_entry(client: fakeredis.FakeRedis) -> None:
    newest_ms = int((time.time() - 60) * 1000)
    client.xadd(LIVE, {"data": b"{}"}, id=f"{newest_ms}-7")

    assert not add_past(client, Simulation(sessions=3))

    assert newest_ms / 1000 < times_s(client, CHAT)[0] < newest_ms / 1000 + 3
    assert client.xinfo_stream(LIVE)["last-generated-id"] > f"{newest_ms}-7".encode()


def test_nothing_is_added_before_an_entry_of_now(client: fakeredis.FakeRedis) -> None:
    client.xadd(LIVE, {"data": b"{}"})

    assert not add_past(client, Simulation(sessions=3))

    assert client.xlen(LIVE) == 1
    assert not client.exists(CHAT)


def test_the_simulation_continues_where_its_past_ends(client: fakeredis.FakeRedis) -> None:
    simulation = Simulation(sessions=1)
    add_past(client, simulation)
    joins = client.xlen(LIVE)

    events = simulation.step(time.time(), 5)

    assert joins > 90
    assert 0 < len(events) < 100  # everybody is already present


@pytest.mark.parametrize("newest_ago_s", [None, 200, 20, 0])
def test_the_sound_fails_as_long_after_the_start_whatever_was_there_before(
    client: fakeredis.FakeRedis, newest_ago_s: float | None
) -> None:
    simulation = Simulation(sessions=2)
    if newest_ago_s is not None:
        client.xadd(LIVE, {"data": b"{}"}, id=f"{int((time.time() - newest_ago_s) * 1000)}-0")
    add_past(client, simulation)
    now_s = time.time()

    assert count_chats(simulation, now_s) > 3
    assert count_chats(simulation, now_s + 20) == 0


def test_after_a_longer_pause_the_sessions_were_quiet_by_arrangement_until_the_past(
    client: fakeredis.FakeRedis,
) -> None:
    newest_ms = int((time.time() - 900) * 1000)
    client.xadd(LIVE, {"data": b"{}"}, id=f"{newest_ms}-0")
    add_past(client, Simulation(sessions=3))

    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(COMMANDS))
    assert [entry_id for entry_id, _ in entries] == [
        f"{newest_ms + 250}-{order}".encode() for order in range(3)
    ]
    commands = [decode_command(fields[b"data"], newest_ms + 250) for _, fields in entries]
    assert {session_id for session_id, _ in commands} >= {"panel-open-data"}
    for _, quiet in commands:
        assert isinstance(quiet, QuietSet)
        assert quiet.until_ms / 1000 == pytest.approx(times_s(client, CHAT)[0], abs=3)


@pytest.mark.parametrize("newest_ago_s", [None, 200])
def test_without_a_longer_pause_nothing_is_arranged(
    client: fakeredis.FakeRedis, newest_ago_s: float | None
) -> None:
    if newest_ago_s is not None:
        client.xadd(LIVE, {"data": b"{}"}, id=f"{int((time.time() - newest_ago_s) * 1000)}-0")
    add_past(client, Simulation(sessions=3))
    assert not client.exists(COMMANDS)


def count_chats(simulation: Simulation, at_s: float) -> int:
    """Count the messages of 5 s in the session whose sound fails after 10 s."""
    simulation.step(at_s, 2)  # what is delayed has arrived then
    events = simulation.step(at_s + 2, 5)
    return sum(name == CHAT and b"panel-open-data" in body for name, body in events)
