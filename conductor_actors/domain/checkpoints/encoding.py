"""Encode and decode checkpoints: the position in the streams, and each session's state.

The header begins with the version of the format, so that no other version misreads it.
"""

from collections.abc import Mapping
from sys import intern
from typing import Any, Final, NamedTuple

import msgspec

from conductor_actors.domain.anomalies.detector import unpack_detector
from conductor_actors.domain.checkpoints.earlier_states import decode_earlier_state
from conductor_actors.domain.checkpoints.packed_states import (
    PackedCounts,
    PackedPoll,
    PackedState,
    PackedUsers,
)
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.intake_state import IntakeState
from conductor_actors.domain.polls import Poll
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.domain.session_state import SessionState
from conductor_actors.domain.windows import NO_TIMES, CountWindow, empty_counts

CHECKPOINT_VERSION: Final = 3
READABLE_VERSIONS: Final = (1, 2, CHECKPOINT_VERSION)


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


_encode: Final = msgspec.msgpack.Encoder().encode
_envelope: Final = msgspec.msgpack.Decoder(tuple[int, bytes])
_header: Final = msgspec.msgpack.Decoder(Header)
_state: Final = msgspec.msgpack.Decoder(PackedState)


def encode_header(header: Header) -> bytes:
    """Return the header as bytes, after the version of the format."""
    return _encode((CHECKPOINT_VERSION, _encode(header)))


def encode_state(state: SessionState) -> bytes:
    """Return a session's state as bytes; the state stays unchanged."""
    active, connections = state.active.times_ms, state.connections
    detector: Any = None if state.detector is None else state.detector.pack()
    return _encode(
        PackedState(
            state.real_event_id,
            state.last_event_ms,
            state.has_joins,
            PackedCounts([*(state.chats.counts or ())], state.chats.newest_s),
            PackedCounts([*(state.reactions.counts or ())], state.reactions.newest_s),
            state.messages.times_ms,
            active,
            state.leavers.times_ms,
            PackedUsers.of(connections, active),
            state.devices,
            [_pack_poll(poll, active) for poll in state.polls.values()],
            state.chat_is_open,
            state.quiet_until_ms,
            (state.votes, state.departures, state.returns),
            detector,
            state.conduct,
        )
    )


def decode_state(data: bytes, session_id: str, rules: SessionRules) -> SessionState:
    """Return a session's state, to continue under these rules."""
    try:
        packed = _state.decode(data)
    except msgspec.ValidationError:
        packed = decode_earlier_state(data)
    state = SessionState(session_id, rules)
    state.chats = _unpack_counts(packed.chats, rules.window_s)
    state.reactions = _unpack_counts(packed.reactions, rules.window_s)
    state.messages.times_ms = packed.messages or NO_TIMES
    state.active.times_ms = active = packed.active or NO_TIMES
    state.leavers.times_ms = leavers = packed.leavers or NO_TIMES
    state.connections = {user: user for user in packed.connected.names(active)}
    state.devices = packed.devices or NO_TIMES
    if packed.polls:
        state.polls = {poll.poll_id: _unpack_poll(poll, active) for poll in packed.polls}
    state.has_joins = packed.has_joins
    state.real_event_id = None if packed.event_id is None else intern(packed.event_id)
    state.last_event_ms = packed.last_event_ms
    state.chat_is_open = packed.chat_is_open
    state.quiet_until_ms = packed.quiet_until_ms
    state.votes, state.departures, state.returns = packed.totals
    if packed.detector is not None:
        state.detector = unpack_detector(packed.detector)
    state.conduct = packed.conduct
    state.guests = len(active.keys() - state.connections.keys() - leavers.keys())
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


def read_header(data: bytes) -> Header:
    """Return the header that was encoded; raise `CheckpointError` if it can't be read."""
    try:
        version, header = _envelope.decode(data)
        if version in READABLE_VERSIONS:
            return _header.decode(header)
    except (msgspec.MsgspecError, ValueError) as error:
        raise UnreadableHeaderError from error
    raise FormatError(version)


def _unpack_counts(packed: PackedCounts, length_s: int) -> CountWindow:
    if not packed.counts:
        return empty_counts(length_s)
    window = CountWindow(length_s)
    window.counts = packed.counts
    window.newest_s = packed.newest_s
    window.total = sum(packed.counts)
    return window


def _pack_poll(poll: Poll, active: Mapping[str, int]) -> PackedPoll:
    return PackedPoll(
        poll.poll_id,
        poll.peak_connected,
        poll.last_vote_ms,
        poll.closed_ms,
        poll.votes_without_user,
        PackedUsers.of(poll.voters, active),
    )


def _unpack_poll(packed: PackedPoll, active: Mapping[str, int]) -> Poll:
    poll = Poll(packed.poll_id, packed.peak_connected, packed.last_vote_ms)
    poll.voters = dict.fromkeys(packed.voters.names(active))
    poll.votes_without_user = packed.votes_without_user
    poll.closed_ms = packed.closed_ms
    return poll
