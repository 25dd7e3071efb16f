"""Encode and decode checkpoints: the position in the streams, and each session's state.

The header begins with the version of the format, so that no other version misreads it. A state has
each user once; its times are differences, because small numbers take few bytes.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate, chain, count
from operator import itemgetter, sub
from typing import Final, NamedTuple

import msgspec

from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.intake_state import IntakeState
from conductor_actors.domain.polls import Poll
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.domain.session_state import SessionState
from conductor_actors.domain.windows import CountWindow, PresenceWindow, RepeatWindow

CHECKPOINT_VERSION: Final = 2
# Version 1 has the last poll alone, and not whether users joined.
READABLE_VERSIONS: Final = (1, CHECKPOINT_VERSION)


class CheckpointError(Exception):
    """The checkpoint can't be resumed from."""


class UnreadableHeaderError(CheckpointError):
    """The header is damaged."""


class UnreadableStateError(CheckpointError):
    """The state of a session is damaged."""


class FormatError(CheckpointError):
    """Another version wrote the checkpoint, in a format that this one can't read."""

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version


class WindowMismatchError(CheckpointError):
    """The states have windows of another length."""

    def __init__(self, found_s: int, wanted_s: int) -> None:
        super().__init__(found_s, wanted_s)
        self.found_s = found_s
        self.wanted_s = wanted_s


class Header(msgspec.Struct, frozen=True, array_like=True):
    """What all sessions share: the checkpoint's number, and where reading resumes."""

    number: int
    window_s: int
    position: bytes
    intake: IntakeState


class Recovered(NamedTuple):
    """The contents of a checkpoint: the sessions that continue, and those that were over."""

    header: Header
    states: Mapping[SessionKey, SessionState]
    ended: frozenset[SessionKey]


class _Counts(msgspec.Struct, array_like=True, gc=False):
    counts: list[int]
    newest_s: int


class _PackedPoll(msgspec.Struct, array_like=True, gc=False):
    poll_id: str
    peak_connected: int
    last_vote_ms: int
    voters: list[int]
    votes_without_user: int
    closed_ms: int | None


class _State(msgspec.Struct, array_like=True, gc=False):
    """A session. Users are indexes into `users`, where the active ones come first."""

    event_id: str | None
    last_event_ms: int | None
    chats: _Counts
    reactions: _Counts
    messages: list[str]
    messages_ms: list[int]
    users: list[str]
    active_ms: list[int]
    leavers: list[int]
    leavers_ms: list[int]
    connected: list[int]
    connections: dict[int, int]  # of users with more than one
    last_poll: _PackedPoll | None
    earlier_polls: list[_PackedPoll] = []  # in the order of their last votes
    has_joins: bool | None = None
    chat_is_open: bool = True
    quiet_until_ms: int = 0


_encode: Final = msgspec.msgpack.Encoder().encode
_envelope: Final = msgspec.msgpack.Decoder(tuple[int, bytes])
_header: Final = msgspec.msgpack.Decoder(Header)
_state: Final = msgspec.msgpack.Decoder(_State)


def encode_header(header: Header) -> bytes:
    """Return the header as bytes, after the version of the format."""
    return _encode((CHECKPOINT_VERSION, _encode(header)))


def encode_state(state: SessionState) -> bytes:
    """Return a session's state as bytes; the state stays unchanged."""
    active, connections, leavers = state.active, state.connections, state.leavers
    polls = [*state.polls.values()]
    users: dict[str, int | None] = {**active.times_ms, **connections, **leavers.times_ms}
    for poll in polls:
        users |= poll.voters
    index_of = dict(zip(users, count())).__getitem__
    has_devices = sum(connections.values()) > len(connections)
    return _encode(
        _State(
            state.real_event_id,
            state.last_event_ms,
            _Counts([*(state.chats.counts or ())], state.chats.newest_s),
            _Counts([*(state.reactions.counts or ())], state.reactions.newest_s),
            [*state.messages.times_ms],
            _deltas(state.messages),
            [*users],
            _deltas(active),
            [*map(index_of, leavers.times_ms)],
            _deltas(leavers),
            [*map(index_of, connections)],
            {index_of(user): n for user, n in connections.items() if n > 1} if has_devices else {},
            _pack_poll(polls[-1], index_of) if polls else None,
            [_pack_poll(poll, index_of) for poll in polls[:-1]],
            state.has_joins,
            state.chat_is_open,
            state.quiet_until_ms,
        )
    )


def decode_state(data: bytes, session_id: str, rules: SessionRules) -> SessionState:
    """Return a session's state, to continue under these rules."""
    packed = _state.decode(data)
    users, has_joins, active = packed.users, packed.has_joins, len(packed.active_ms)
    polls = packed.earlier_polls + ([packed.last_poll] if packed.last_poll else [])
    state = SessionState(session_id, rules)
    state.chats = _unpack_counts(packed.chats, rules.window_s)
    state.reactions = _unpack_counts(packed.reactions, rules.window_s)
    state.messages.times_ms = _times_ms(packed.messages, packed.messages_ms)
    state.active.times_ms = _sorted_times_ms(users[:active], packed.active_ms)
    leavers = map(users.__getitem__, packed.leavers)
    state.leavers.times_ms = _times_ms(leavers, packed.leavers_ms)
    state.connections = dict.fromkeys(map(users.__getitem__, packed.connected), 1)
    for index, devices in packed.connections.items():
        state.connections[users[index]] = devices
    state.polls = {poll.poll_id: _unpack_poll(poll, users) for poll in polls}
    state.has_joins = bool(packed.connected or packed.leavers) if has_joins is None else has_joins
    state.real_event_id = packed.event_id
    state.last_event_ms = packed.last_event_ms
    state.chat_is_open = packed.chat_is_open
    state.quiet_until_ms = packed.quiet_until_ms
    state.guests = active - sum(map(active.__gt__, chain(packed.connected, packed.leavers)))
    return state


def recover(header: bytes, sessions: Mapping[SessionKey, bytes], rules: SessionRules) -> Recovered:
    """Return a checkpoint's contents; raise `CheckpointError` if it can't be resumed from."""
    found = read_header(header)
    if found.window_s != rules.window_s:
        raise WindowMismatchError(found.window_s, rules.window_s)
    try:
        states = {key: decode_state(data, key.session_id, rules) for key, data in sessions.items()}
    except (msgspec.MsgspecError, LookupError, ValueError) as error:
        raise UnreadableStateError from error
    ended = frozenset(
        key for key, state in states.items() if state.is_forgotten_at(found.intake.passed_ms)
    )
    return Recovered(
        found, {key: state for key, state in states.items() if key not in ended}, ended
    )


def merge_headers(headers: Sequence[Header], position: bytes) -> Header:
    """Return one header for shards that have all read up to the same time.

    Every shard reads every stream, so each has the same gaps. The earliest next tick is kept.
    """
    intakes = [header.intake for header in headers]
    ticks = [intake.next_tick_ms for intake in intakes if intake.next_tick_ms is not None]
    events = [intake.last_event_ms for intake in intakes if intake.last_event_ms is not None]
    intake = IntakeState(
        min(ticks, default=None),
        max(intake.passed_ms for intake in intakes),
        max(events, default=None),
        max((intake.gaps for intake in intakes), key=len),
    )
    number = max(header.number for header in headers)
    return Header(number, headers[0].window_s, position, intake)


def read_header(data: bytes) -> Header:
    """Return the header that was encoded; raise `CheckpointError` if it can't be read."""
    try:
        version, header = _envelope.decode(data)
        if version in READABLE_VERSIONS:
            return _header.decode(header)
    except (msgspec.MsgspecError, ValueError) as error:
        raise UnreadableHeaderError from error
    raise FormatError(version)


def _deltas(window: RepeatWindow | PresenceWindow) -> list[int]:
    """Return the first time, and the difference from each to the next."""
    times_ms = window.times_ms.values()
    return [*map(sub, times_ms, chain((0,), times_ms))]


def _times_ms(keys: Iterable[str], deltas: list[int]) -> dict[str, int]:
    return dict(zip(keys, accumulate(deltas), strict=True))


def _sorted_times_ms(keys: list[str], deltas: list[int]) -> dict[str, int]:
    times_ms = _times_ms(keys, deltas)
    if deltas and min(deltas) < 0:  # written when users were not yet in the order of their times
        return dict(sorted(times_ms.items(), key=itemgetter(1)))
    return times_ms


def _unpack_counts(packed: _Counts, length_s: int) -> CountWindow:
    window = CountWindow(length_s)
    window.counts = deque(packed.counts, length_s) if packed.counts else None
    window.newest_s = packed.newest_s
    window.total = sum(packed.counts)
    return window


def _pack_poll(poll: Poll, index_of: Callable[[str], int]) -> _PackedPoll:
    return _PackedPoll(
        poll.poll_id,
        poll.peak_connected,
        poll.last_vote_ms,
        [*map(index_of, poll.voters)],
        poll.votes_without_user,
        poll.closed_ms,
    )


def _unpack_poll(packed: _PackedPoll, users: list[str]) -> Poll:
    poll = Poll(packed.poll_id, packed.peak_connected, packed.last_vote_ms)
    poll.voters = dict.fromkeys(map(users.__getitem__, packed.voters))
    poll.votes_without_user = packed.votes_without_user
    poll.closed_ms = packed.closed_ms
    return poll
