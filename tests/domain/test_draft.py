"""A batch of events becomes part of a state only if all of it works."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from conductor_actors.domain import draft, polls, windows
from conductor_actors.domain.draft import Draft, apply_events
from conductor_actors.domain.events import ChatMessage, Event, UserJoined
from conductor_actors.domain.failures import salvage
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.domain.session_state import SessionState
from tests.actors.session_events import poison
from tests.domain.checkpoint_states import facts
from tests.domain.session_samples import (
    START_MS,
    after,
    batch_sizes,
    batches,
    new_state,
    rules_of_all_kinds,
    streams,
)

FILES = {module.__file__ for module in (draft, polls, windows)}


class InjectedError(Exception):
    pass


def is_committing(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_filename in FILES:
        if frame.f_code is Draft.commit.__code__:
            return True
        frame = frame.f_back
    return False


@contextmanager
def raising_at(lines: int) -> Iterator[None]:
    """Raise once that many lines that apply events have run; committing them is left alone."""
    left = lines

    def trace(frame: FrameType, kind: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename not in FILES or is_committing(frame):
            return None
        if kind == "line":
            left -= 1
            if left < 0:
                raise InjectedError
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


@settings(max_examples=200, deadline=None)
@given(streams, rules_of_all_kinds, st.integers(0, 40), st.integers(0, 400))
def test_a_batch_that_raises_at_any_point_leaves_the_state_as_it_was(
    events: list[Event], rules: SessionRules, cut: int, lines: int
) -> None:
    state = after(new_state(rules), events[:cut])
    before = facts(state.copy())
    expected = facts(after(state, events[cut:]))
    try:
        with raising_at(lines):
            apply_events(state, events[cut:])
    except InjectedError:
        assert facts(state) == before
        assert facts(apply_events(state, events[cut:])) == expected


@settings(max_examples=100, deadline=None)
@given(streams, rules_of_all_kinds, batch_sizes)
def test_a_state_does_not_depend_on_the_batches_that_its_events_came_in(
    events: list[Event], rules: SessionRules, sizes: list[int]
) -> None:
    one_by_one, batched = new_state(rules), new_state(rules)
    for event in events:
        one_by_one = apply_events(one_by_one, [event])
    for batch in batches(events, events[-1].at_ms + 1, sizes):
        batched = apply_events(batched, batch)
    assert facts(batched) == facts(one_by_one)


@settings(max_examples=100, deadline=None)
@given(streams, rules_of_all_kinds, st.lists(st.integers(0, 40), max_size=3))
def test_an_event_that_raises_costs_only_itself(
    events: list[Event], rules: SessionRules, places: list[int]
) -> None:
    with_poison = [*events]
    for place in places:
        at = min(place, len(with_poison) - 1)
        with_poison.insert(at, poison(with_poison[at].at_ms))
    state, failed = salvage(apply_events, new_state(rules), with_poison, SessionState.copy)
    assert len(failed) == len(places)
    assert facts(state) == facts(after(new_state(rules), events))


def test_a_session_keeps_the_time_of_an_event_once() -> None:
    at_ms = int(f"{START_MS}")
    state = apply_events(new_state(), [ChatMessage(at_ms, None, "ada", "message")])
    assert state.messages.times_ms["message"] is at_ms
    assert state.active.times_ms["ada"] is at_ms


def test_a_session_keeps_the_id_of_a_connected_user_once() -> None:
    users = [b"ada".decode() for _ in range(3)]
    state = apply_events(new_state(), [UserJoined(START_MS, None, users[0])])
    for user_id in users[1:]:
        state = apply_events(state, [ChatMessage(START_MS, None, user_id, None)])
        [active], [(key, value)] = state.active.times_ms, state.connections.items()
        assert active is key is value is users[0]


def test_refused_users_are_still_counted_after_a_session_begins_anew() -> None:
    rules = SessionRules(timeout_s=10, presence_timeout_s=10, max_users=1)
    joins: list[Event] = [
        UserJoined(START_MS + at_ms, None, user) for at_ms in (0, 10_000) for user in ("ada", "bob")
    ]
    assert apply_events(new_state(rules), joins).refused_users == 2
