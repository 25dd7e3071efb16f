import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.domain.events import (
    DECODERS,
    ChatMessage,
    Decoded,
    PollClosed,
    PollVote,
    Reaction,
    UserJoined,
    UserLeft,
    decode,
)
from conductor_actors.errors import InvalidEvent
from tests.support.event_samples import (
    CHAT,
    CLOSED,
    EVENT_NAMES,
    INVALID_EVENTS,
    LIVE,
    MAX_BYTES,
    REACTION,
    SHAPES,
    SYNC,
    UNUSABLE_OPTIONAL_KEYS,
    VOTE,
    Shape,
    with_value,
)
from tests.support.unusual_events import UNUSUAL_EVENTS

AT_MS = 1767528000003

NAME = st.sampled_from(EVENT_NAMES)
ID = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=255)
MAYBE_ID = st.none() | ID
LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON: st.SearchStrategy[Any] = st.recursive(
    LEAF, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)
KNOWN_KEY = st.sampled_from(
    [
        "sessionId",
        "eventId",
        "userId",
        "message",
        "id",
        "authorId",
        "author",
        "type",
        "payload",
        "resource",
        "poll",
        "pollId",
    ]
)
KNOWN_TYPE = st.sampled_from(
    ["user_join", "user_leave", "reaction", "message_created", "message_deleted", "typing"]
)
# Bodies that come close: the right keys, with values right and wrong.
NEARLY: st.SearchStrategy[Any] = st.recursive(
    LEAF | KNOWN_TYPE | ID,
    lambda inner: st.lists(inner) | st.dictionaries(KNOWN_KEY, inner),
    max_leaves=20,
)


def read(name: str, body: object) -> Decoded:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decode(DECODERS[name], raw, AT_MS, MAX_BYTES, Counter())


def reads_or_refuses(name: str, body: bytes) -> None:
    try:
        decoded = read(name, body)
    except InvalidEvent:
        return
    assert decoded is None or decoded[1].at_ms == AT_MS


@pytest.mark.parametrize(
    ("name", "body", "reason"), [pytest.param(*c, id=i) for i, *c in INVALID_EVENTS]
)
def test_an_invalid_body_is_refused_with_its_reason(name: str, body: bytes, reason: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        read(name, body)
    assert refused.value.reason == reason


@pytest.mark.parametrize(("name", "body"), [pytest.param(*c, id=i) for i, *c in UNUSUAL_EVENTS])
def test_an_unusual_but_valid_body_is_read(name: str, body: bytes) -> None:
    decoded = read(name, body)
    assert decoded is None or decoded[1].at_ms == AT_MS


@pytest.mark.parametrize(
    ("name", "body", "key"), [pytest.param(*c, id=i) for i, *c in UNUSABLE_OPTIONAL_KEYS]
)
def test_an_optional_key_that_cannot_be_used_counts_as_absent(
    name: str, body: bytes, key: str
) -> None:
    ignored: Counter[str] = Counter()
    decoded = decode(DECODERS[name], body, AT_MS, MAX_BYTES, ignored)
    document = json.loads(body)
    place = document
    *parents, last = key.split(".")
    for parent in parents:
        place = place[parent]
    del place[last]
    assert decoded == read(name, document)
    assert ignored == {key.replace("payload", "message"): 1}


def test_nothing_is_counted_as_ignored_for_an_invalid_event() -> None:
    ignored: Counter[str] = Counter()
    with pytest.raises(InvalidEvent):
        decode(DECODERS[VOTE], b'{"sessionId":"s1","userId":5}', AT_MS, MAX_BYTES, ignored)
    assert not ignored


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.label)
def test_a_body_cut_off_anywhere_is_refused(shape: Shape) -> None:
    body = json.dumps(shape.body).encode()
    assert read(shape.name, body) is not None
    for length in range(len(body)):
        with pytest.raises(InvalidEvent):
            read(shape.name, body[:length])


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.label)
def test_nesting_is_refused_even_where_larger_bodies_are_allowed(shape: Shape) -> None:
    body = with_value(shape.body, "z", b"[" * 100_000 + b"]" * 100_000)
    with pytest.raises(InvalidEvent, match="too_deep"):
        decode(DECODERS[shape.name], body, AT_MS, 10 * MAX_BYTES, Counter())


@given(NAME, st.binary())
def test_random_bytes_are_read_or_refused(name: str, body: bytes) -> None:
    reads_or_refuses(name, body)


@given(NAME, JSON)
def test_random_json_is_read_or_refused(name: str, body: Any) -> None:
    reads_or_refuses(name, json.dumps(body).encode())


@given(NAME, NEARLY)
def test_nearly_right_json_is_read_or_refused(name: str, body: Any) -> None:
    reads_or_refuses(name, json.dumps(body).encode())


@given(ID, MAYBE_ID, MAYBE_ID, st.tuples(MAYBE_ID, MAYBE_ID, MAYBE_ID))
def test_the_author_is_the_authorid_else_the_authors_id_else_the_userid(
    session_id: str,
    event_id: str | None,
    message_id: str | None,
    claims: tuple[str | None, str | None, str | None],
) -> None:
    author_id, nested_id, user_id = claims
    message = {"id": message_id, "authorId": author_id, "author": {"id": nested_id}}
    address = {"sessionId": session_id, "eventId": event_id, "userId": user_id}
    expected = ChatMessage(AT_MS, event_id, author_id or nested_id or user_id, message_id)
    assert read(CHAT, address | {"message": message}) == (session_id, expected)
    mirror = address | {"type": "message_created", "resource": "MESSAGE", "payload": message}
    assert read(SYNC, mirror) == (session_id, expected)


@given(ID, MAYBE_ID, ID, MAYBE_ID)
def test_a_vote_has_its_user_and_its_poll(
    session_id: str, event_id: str | None, poll_id: str, user_id: str | None
) -> None:
    body = {"sessionId": session_id, "eventId": event_id, "pollId": poll_id, "userId": user_id}
    assert read(VOTE, body) == (session_id, PollVote(AT_MS, event_id, user_id, poll_id))


@given(ID, MAYBE_ID, ID)
def test_a_polls_end_is_read_flat_and_nested(
    session_id: str, event_id: str | None, poll_id: str
) -> None:
    flat = {"sessionId": session_id, "eventId": event_id, "pollId": poll_id}
    nested = {"poll": {"id": poll_id, "sessionId": session_id, "isActive": False}}
    assert read(CLOSED, flat) == (session_id, PollClosed(AT_MS, event_id, poll_id))
    assert read(CLOSED, nested) == (session_id, PollClosed(AT_MS, None, poll_id))
    assert read(CLOSED, {"poll": {"id": poll_id}}) is None


@given(ID, MAYBE_ID, MAYBE_ID)
def test_a_reaction_is_read_under_both_names(
    session_id: str, event_id: str | None, user_id: str | None
) -> None:
    body = {"sessionId": session_id, "eventId": event_id, "userId": user_id}
    expected = (session_id, Reaction(AT_MS, event_id, user_id))
    assert read(REACTION, body) == expected
    assert read(SYNC, body | {"type": "reaction"}) == expected


@given(st.sampled_from([SYNC, LIVE]), ID, MAYBE_ID, ID)
def test_presence_is_read_under_both_names(
    name: str, session_id: str, event_id: str | None, user_id: str
) -> None:
    body = {"sessionId": session_id, "eventId": event_id, "userId": user_id}
    joined, left = UserJoined(AT_MS, event_id, user_id), UserLeft(AT_MS, event_id, user_id)
    assert read(name, body | {"type": "user_join"}) == (session_id, joined)
    assert read(name, body | {"type": "user_leave"}) == (session_id, left)


@given(JSON, JSON, st.sampled_from([{}, {"type": "updated"}, {"sessionId": "s1"}]))
def test_a_message_of_another_kind_is_skipped_whatever_it_contains(
    action: Any, payload: Any, address: dict[str, str]
) -> None:
    body = {"resource": "POLL", "action": action, "payload": payload, **address}
    assert (
        read(SYNC, json.dumps(body).replace("NaN", "0").replace("Infinity", "0").encode()) is None
    )


@pytest.mark.parametrize(
    "kind", ["message_updated", "message_deleted", "presence_update", "typing"]
)
def test_a_sync_event_that_is_no_engagement_is_skipped(kind: str) -> None:
    assert read(SYNC, {"type": kind, "sessionId": "s1", "userId": "u1", "payload": [1]}) is None


def test_the_limit_of_nesting_does_not_depend_on_the_callers_stack() -> None:
    body = b'{"sessionId":"s1","z":' + b"[" * 511 + b"]" * 511 + b"}"

    def deeper(frames: int) -> Decoded:
        return deeper(frames - 1) if frames else read(REACTION, body)

    assert deeper(0) == deeper(150) == ("s1", Reaction(AT_MS, None, None))


def test_brackets_in_strings_do_not_count_as_nesting() -> None:
    body = b'{"sessionId":"s1","z":"' + b'[{\\"' * 600 + b'"}'
    assert read(REACTION, body) == ("s1", Reaction(AT_MS, None, None))


def test_a_poll_that_ends_without_a_session_is_skipped() -> None:
    assert read(CLOSED, b'{"poll":{}}') is None


def test_nul_in_an_id_is_refused_in_skipped_events_too() -> None:
    with pytest.raises(InvalidEvent, match="nul_in_id"):
        read(SYNC, rb'{"type":"typing","sessionId":"s\u0000"}')
