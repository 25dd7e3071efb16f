"""What a session's detector sees at a tick."""

from collections.abc import Sequence

import msgspec


class Observation(msgspec.Struct, frozen=True, gc=False):
    """What happened in a session since its last tick, and who is there.

    `chats` and `reactions` have a count for each second. `people` are 1 where the audience is
    unknown; `guests` are those of them who have not joined, and count while they are active.
    `votes`, `departures` and `returns` are counted from the session's begin on.
    """

    at_ms: int
    chats: Sequence[int]
    reactions: Sequence[int]
    votes: int
    departures: int
    returns: int
    people: int
    guests: int
    active: int
    score: float
    is_audience_known: bool = True
    is_chat_open: bool = True
    is_quiet: bool = False  # by arrangement
    has_gap: bool = False
    is_last: bool = False  # no row follows, unless there is an event

    @property
    def connected(self) -> int:
        """The people who do not vanish by being silent."""
        return self.people - self.guests
