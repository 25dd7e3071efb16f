"""Every entry is for one partition: the one that its session is in."""

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.domain.commands import encode_event_mode, encode_quiet, encode_templates
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.events import DECODERS, OWN_NAMES, decode
from conductor_actors.domain.identity import POLICY, SessionKey, split
from conductor_actors.domain.partitions.partition import partition_of
from conductor_actors.domain.partitions.session_routing import SessionRouting
from conductor_actors.errors import InvalidEvent
from conductor_actors.simulate import Simulation
from tests.support.event_samples import CHAT, CLOSED, COMMANDS, SYNC

MAX_BYTES = 65536


def routed(entries: list[Entry], partitions: int = 3) -> list[list[Entry]]:
    routing = SessionRouting(partitions, MAX_BYTES)
    routing.add(entries)
    return routing.groups


def session_of(entry: Entry) -> SessionKey | None:
    _, _, name, body = entry
    parts = split(name)
    assert parts
    try:
        decoded = decode(DECODERS[parts[1]], body, 0, MAX_BYTES, Counter())
    except InvalidEvent:
        return None
    return SessionKey(parts[0], decoded[0]) if decoded else None


def test_real_events_go_to_the_partition_of_their_session_in_order() -> None:
    simulation = Simulation(sessions=20, seed=3, tenants=("default", "acme"))
    sent = [each for step in range(200) for each in simulation.step(step / 4, 0.25)]
    entries: list[Entry] = [(1, number, name, body) for number, (name, body) in enumerate(sent)]
    groups = routed(entries)
    assert sorted(entry for group in groups for entry in group) == entries
    assert all(group == sorted(group) for group in groups)
    for number, group in enumerate(groups):
        assert group
        sessions = {session for entry in group if (session := session_of(entry))}
        assert {partition_of(*session, 3) for session in sessions} == {number}


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | st.sampled_from("stu"),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["sessionId", "poll", "pollId", "id", "type", "userId", "resource"]),
            inner,
        )
    ),
    max_leaves=8,
)
NAMES = st.sampled_from([*DECODERS, "acme:" + CHAT, "acme:" + CLOSED])


@given(st.lists(st.tuples(NAMES, JSON.map(msgspec.json.encode) | st.binary(max_size=9))))
def test_every_entry_goes_to_one_partition_unless_it_is_for_a_whole_tenant(
    events: list[tuple[str, bytes]],
) -> None:
    entries: list[Entry] = [(1, number, *event) for number, event in enumerate(events)]
    groups = routed(entries)
    copies = Counter(entry for group in groups for entry in group)
    assert sorted(copies) == entries
    for entry, count in copies.items():
        session = session_of(entry)
        assert count == 1 or (entry[2] in OWN_NAMES and not session)
        if session:
            assert entry in groups[partition_of(*session, 3)]


@pytest.mark.parametrize("prefix", ["", "acme:"])
def test_a_directive_goes_to_every_partition(prefix: str) -> None:
    entries: list[Entry] = [
        (1, 0, prefix + COMMANDS, encode_event_mode("event", "OFF")),
        (1, 1, prefix + COMMANDS, encode_templates({})),
        (1, 2, prefix + POLICY, b'{"version":1,"cells":{}}'),
    ]
    assert routed(entries) == [entries] * 3


def test_a_report_goes_to_the_partition_of_its_session() -> None:
    body = b'{"success":true,"intervention_id":"i","session_id":"keynote"}'
    entry = (1, 0, "agent.intervention-outcomes", body)
    wanted = partition_of("default", "keynote", 3)
    assert [group == [entry] for group in routed([entry])] == [n == wanted for n in range(3)]


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=255))
def test_a_command_goes_to_the_partition_of_its_session(session_id: str) -> None:
    body = encode_quiet(session_id, None)
    entries: list[Entry] = [(1, 0, COMMANDS, body), (1, 0, f"acme:{COMMANDS}", body)]
    for tenant, entry in zip(("default", "acme"), entries, strict=True):
        wanted = partition_of(tenant, session_id, 3)
        assert [group == [entry] for group in routed([entry])] == [n == wanted for n in range(3)]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("unheard-of", b'{"sessionId":"s"}'),
        ("Acme:" + CHAT, b'{"sessionId":"s"}'),
        (CHAT, b'{"sessionId":7}'),
        (CHAT, b'{"sessionId":"\xff"}'),
        (CHAT, b'{"sessionId":"s"' + b" " * MAX_BYTES + b"}"),
        (CHAT, b'{"sessionId":"s","x":' + b"[" * 60_000 + b"]" * 60_000 + b"}"),
        (CHAT, b""),
        (SYNC, b'{"resource":"polls"}'),
    ],
)
def test_an_entry_without_a_session_goes_to_the_first_partition(name: str, body: bytes) -> None:
    entry = (1, 0, name, body)
    assert routed([entry]) == [[entry], [], []]


def test_a_forgotten_session_is_hashed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    entries: list[Entry] = [
        (1, number, CHAT, b'{"sessionId":"s%d"}' % (number % 20)) for number in range(60)
    ]
    expected = routed(entries)
    monkeypatch.setattr("conductor_actors.domain.partitions.session_routing.MAX_KNOWN_SESSIONS", 3)
    assert routed(entries) == expected
