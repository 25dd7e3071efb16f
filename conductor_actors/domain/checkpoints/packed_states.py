"""The state of a session as a checkpoint stores it, in version 3 of the format.

Its dicts are encoded as they are, which takes a third of the steps that differences between times
and indexes instead of names would take.
"""

from collections.abc import Collection, Iterator, Mapping
from itertools import chain, compress
from typing import Self

import msgspec

from conductor_actors.domain.anomalies.packed_detector import PackedDetector
from conductor_actors.domain.conductor.session_conduct import SessionConduct

MIN_FLAGGED_SHARE = 4  # one active user in so many: names of fewer take less than flags of all


class PackedCounts(msgspec.Struct, array_like=True, gc=False):
    """A count window; no counts if it is empty."""

    counts: list[int]
    newest_s: int


class PackedUsers(msgspec.Struct, array_like=True, gc=False):
    """Some users: a flag for each active user, in order, and the names of the others."""

    flags: bytes
    others: list[str]

    @classmethod
    def of(cls, users: Mapping[str, object], active: Mapping[str, int]) -> Self:
        """Pack users. Ids are long, so those of many are stored once: as active users."""
        if len(users) * MIN_FLAGGED_SHARE < len(active):
            return cls(b"", [*users])
        flags = bytes(map(users.__contains__, active))
        return cls(flags, [user for user in users if user not in active])

    def names(self, active: Collection[str]) -> Iterator[str]:
        """Return their names."""
        return chain(compress(active, self.flags), self.others)


class PackedPoll(msgspec.Struct, array_like=True, gc=False):
    """A poll."""

    poll_id: str
    peak_connected: int
    last_vote_ms: int
    closed_ms: int | None
    votes_without_user: int
    voters: PackedUsers


class PackedState(msgspec.Struct, array_like=True, gc=False, tag=3):
    """A session. Fields that are added later have defaults."""

    event_id: str | None
    last_event_ms: int | None
    has_joins: bool
    chats: PackedCounts
    reactions: PackedCounts
    messages: dict[str, int]  # as in the windows, in the order of the times
    active: dict[str, int]
    leavers: dict[str, int]
    connected: PackedUsers
    devices: dict[str, int]  # of users with more than one
    polls: list[PackedPoll]  # in the order of their last votes
    chat_is_open: bool = True
    quiet_until_ms: int = 0
    totals: tuple[int, int, int] = (0, 0, 0)  # votes, departures and returns
    detector: PackedDetector | None = None
    conduct: SessionConduct | None = None
