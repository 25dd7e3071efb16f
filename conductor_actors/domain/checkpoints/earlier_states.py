"""Read the state of a session as versions 1 and 2 of the checkpoint's format store it.

A checkpoint of the current version has such states, too: of sessions that have not changed since.
Each user is there once; times are differences, and the first is since 1970.
"""

from collections.abc import Iterable
from itertools import accumulate
from operator import itemgetter
from typing import Final

import msgspec

from conductor_actors.domain.checkpoints.packed_states import (
    PackedCounts,
    PackedPoll,
    PackedState,
    PackedUsers,
)


class _EarlierPoll(msgspec.Struct, array_like=True, gc=False):
    poll_id: str
    peak_connected: int
    last_vote_ms: int
    voters: list[int]
    votes_without_user: int
    closed_ms: int | None


class _EarlierState(msgspec.Struct, array_like=True, gc=False):
    """A session. Users are indexes into `users`, where the active ones come first."""

    event_id: str | None
    last_event_ms: int | None
    chats: PackedCounts
    reactions: PackedCounts
    messages: list[str]
    messages_ms: list[int]
    users: list[str]
    active_ms: list[int]
    leavers: list[int]
    leavers_ms: list[int]
    connected: list[int]
    connections: dict[int, int]  # of users with more than one
    last_poll: _EarlierPoll | None
    earlier_polls: list[_EarlierPoll] = []  # since version 2, in the order of their last votes
    has_joins: bool | None = None  # since version 2
    chat_is_open: bool = True
    quiet_until_ms: int = 0


_decode: Final = msgspec.msgpack.Decoder(_EarlierState).decode


def decode_earlier_state(data: bytes) -> PackedState:
    """Return a state in the current format."""
    earlier = _decode(data)
    users, has_joins = earlier.users, earlier.has_joins
    polls = earlier.earlier_polls + ([earlier.last_poll] if earlier.last_poll else [])
    active = _times_ms(users[: len(earlier.active_ms)], earlier.active_ms)
    if min(earlier.active_ms, default=0) < 0:  # when users were not in the order of their times
        active = dict(sorted(active.items(), key=itemgetter(1)))
    return PackedState(
        earlier.event_id,
        earlier.last_event_ms,
        bool(earlier.connected or earlier.leavers) if has_joins is None else has_joins,
        earlier.chats,
        earlier.reactions,
        _times_ms(earlier.messages, earlier.messages_ms),
        active,
        _times_ms(map(users.__getitem__, earlier.leavers), earlier.leavers_ms),
        _users(earlier.connected, users),
        {users[index]: devices for index, devices in earlier.connections.items()},
        [_poll(poll, users) for poll in polls],
        earlier.chat_is_open,
        earlier.quiet_until_ms,
    )


def _times_ms(keys: Iterable[str], deltas: list[int]) -> dict[str, int]:
    return dict(zip(keys, accumulate(deltas), strict=True))


def _users(indexes: list[int], users: list[str]) -> PackedUsers:
    return PackedUsers(b"", [*map(users.__getitem__, indexes)])


def _poll(poll: _EarlierPoll, users: list[str]) -> PackedPoll:
    return PackedPoll(
        poll.poll_id,
        poll.peak_connected,
        poll.last_vote_ms,
        poll.closed_ms,
        poll.votes_without_user,
        _users(poll.voters, users),
    )
