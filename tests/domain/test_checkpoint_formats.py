"""Checkpoints of earlier versions are read, and damaged ones are refused."""

import msgspec
import pytest

from conductor_actors.domain.checkpoints import encoding
from conductor_actors.domain.checkpoints.encoding import (
    FormatError,
    UnreadableHeaderError,
    UnreadableStateError,
    WindowMismatchError,
    decode_state,
    encode_header,
    encode_state,
    recover,
)
from conductor_actors.domain.events import (
    ChatMessage,
    Event,
    PollClosed,
    PollVote,
    Reaction,
    UserJoined,
    UserLeft,
)
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.session_rules import SessionRules
from tests.domain.checkpoint_states import copied, facts, header_of, quiet_session
from tests.domain.session_samples import (
    START_MS,
    after,
    new_state,
)

TENANT = "default"

# A session as the first version wrote it: bob joined, ada joined, voted on "lunch", and bob left.
FIRST_HEADER = bytes.fromhex("9201c41b94033cc408706f736974696f6e95c0cf0000019b88e0ea00c090c0")
FIRST_STATE = bytes.fromhex(
    "9da76576656e742d31cf0000019b88e0ea02929000929000909092a3616461a3626f6292cf0000019b88e0ea01ff91"
    "0191cf0000019b88e0ea0291008096a56c756e636802cf0000019b88e0ea01910000c0"
)
# A session as the second version wrote it: ada with two devices, bob, and cyd, who left; two polls,
# one closed; a message and a reaction of dan's.
SECOND_STATE = bytes.fromhex(
    "9fa76576656e742d31cf0000019b88e0f5b8929101ce695a5641929101ce695a564291a26d3191cf0000019b88e0ed"
    "e894a3637964a3616461a3626f62a364616e94cf0000019b88e0ea0301cd03e4cd05dc910091cf0000019b88e0f5b8"
    "92010281010296a664696e6e657203cf0000019b88e0ea06910300c09196a56c756e636803cf0000019b88e0ea0591"
    "0101cf0000019b88e0ea07c3"
)
# A session as the second version wrote it before users were in the order of their last times: ada
# reacted, bob joined, cyd reacted, and ada reacted again.
UNORDERED_STATE = bytes.fromhex(
    "9fc0cf0000019b88e0f5b8929000929401000101ce695a5643909093a3616461a3626f62a363796493cf"
    "0000019b88e0f5b8d1f830cd03e89090910180c090c3"
)
BROKEN = [b"", b"\xc1", b"checkpoint", msgspec.msgpack.encode([1, b"x"]), b"\x92\x01\xa1\xff"]


def test_a_checkpoint_with_another_window_is_refused() -> None:
    with pytest.raises(WindowMismatchError) as caught:
        recover(encode_header(header_of(SessionRules(60))), {}, SessionRules(30))
    assert (caught.value.found_s, caught.value.wanted_s) == (60, 30)


def test_a_checkpoint_of_another_format_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as later:
        later.setattr(encoding, "CHECKPOINT_VERSION", 4)
        header = encode_header(header_of(SessionRules()))
    with pytest.raises(FormatError) as caught:
        recover(header, {}, SessionRules())
    assert caught.value.version == 4


def test_a_checkpoint_of_the_first_version_is_read() -> None:
    key = SessionKey(TENANT, "s")
    found = recover(FIRST_HEADER, {key: FIRST_STATE}, SessionRules())
    assert (found.header.number, found.header.position) == (3, b"position")
    state = found.states[key]
    assert (state.event_id, state.has_joins) == ("event-1", True)
    assert ([*state.connections], [*state.leavers.times_ms]) == (["ada"], ["bob"])
    [poll] = state.polls.values()
    assert (poll.poll_id, poll.peak_connected, poll.last_vote_ms) == ("lunch", 2, START_MS + 1)
    assert (poll.count_voters(), poll.voters) == (1, {"ada": None})
    assert facts(copied(state)) == facts(state)


def test_a_state_of_the_second_version_is_read() -> None:
    events: list[Event] = [
        *(UserJoined(START_MS + n, "event-1", user) for n, user in enumerate(("ada", "ada"))),
        *(UserJoined(START_MS + 2 + n, None, user) for n, user in enumerate(("bob", "cyd"))),
        PollVote(START_MS + 4, None, "ada", "lunch"),
        PollVote(START_MS + 5, None, None, "lunch"),
        PollVote(START_MS + 6, None, "dan", "dinner"),
        PollClosed(START_MS + 7, None, "lunch"),
        ChatMessage(START_MS + 1000, None, "bob", "m1"),
        Reaction(START_MS + 2500, None, "dan"),
        UserLeft(START_MS + 3000, None, "cyd"),
    ]
    state = decode_state(SECOND_STATE, new_state().session_id, SessionRules())
    assert (state.votes, state.departures) == (0, 0)  # which that version does not have
    state.votes, state.departures = 3, 1
    assert facts(state) == facts(after(new_state(), events))


def test_users_that_were_written_in_another_order_are_sorted_by_their_times() -> None:
    state = decode_state(UNORDERED_STATE, "s", SessionRules())
    assert [*state.active.times_ms.items()] == [
        ("bob", START_MS + 1000),
        ("cyd", START_MS + 2000),
        ("ada", START_MS + 3000),
    ]
    assert (state.guests, [*state.connections]) == (2, ["bob"])
    signals = state.signals(START_MS + 65_000)
    assert (signals.active_users, signals.total_users) == (0, 1)


@pytest.mark.parametrize("header", BROKEN)
def test_a_damaged_header_is_refused(header: bytes) -> None:
    with pytest.raises(UnreadableHeaderError):
        recover(header, {}, SessionRules())


def without(field: int, data: bytes) -> bytes:
    fields = msgspec.msgpack.decode(data)
    return msgspec.msgpack.encode([[] if n == field else value for n, value in enumerate(fields)])


@pytest.mark.parametrize(
    "data", [*BROKEN, without(6, SECOND_STATE), without(6, encode_state(quiet_session(3)))]
)
def test_a_damaged_state_is_refused(data: bytes) -> None:
    header = encode_header(header_of(SessionRules()))
    with pytest.raises(UnreadableStateError):
        recover(header, {SessionKey(TENANT, "s"): data}, SessionRules())
