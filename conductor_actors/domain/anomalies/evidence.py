"""Evidence that a session does less than its baseline expects: a cumulative sum over seconds."""

from collections.abc import Sequence
from math import log
from typing import Final

import msgspec

from conductor_actors.domain.anomalies.baseline import Expected

# A stop is surprising once about nine events are missing.
NOTICEABLE_EVENTS: Final = 9.0
MIN_NOTICEABLE_PER_MIN: Final = 10.0


class Evidence(msgspec.Struct, array_like=True, gc=False):
    """How much the counts since `onset_ms` speak for a drop, in nats; 0 if they don't.

    `seen` and `expected` are the events since then.
    """

    level: float = 0.0
    onset_ms: int = 0
    seen: int = 0
    expected: float = 0.0

    def clear(self) -> None:
        """Forget what there is."""
        self.level = 0.0
        self.seen = 0
        self.expected = 0.0

    def add_seconds(
        self,
        begin_ms: int,
        chats: Sequence[int],
        reactions: Sequence[int],
        expected: Expected,
        remainder: float,
    ) -> None:
        """Add the counts of some seconds, in order, from `begin_ms` on."""
        level, seen, expected_so_far = self.level, self.seen, self.expected
        onset_ms = self.onset_ms
        missing = log(remainder)
        gain = (1.0 - remainder) * (
            expected.cautious_chats / expected.chat_cluster
            + expected.cautious_reactions / expected.reaction_cluster
        )
        per_chat = missing / expected.chat_cluster
        per_reaction = missing / expected.reaction_cluster
        total, at_ms = expected.total, begin_ms
        for chat, reaction in zip(chats, reactions, strict=True):
            added = gain + per_chat * chat + per_reaction * reaction
            if level > 0.0:
                level += added
                seen += chat + reaction
                expected_so_far += total
            elif added > 0.0:
                level, seen, expected_so_far, onset_ms = added, chat + reaction, total, at_ms
            at_ms += 1000
        self.onset_ms = onset_ms
        if level <= 0.0:
            self.clear()
        else:
            self.level, self.seen, self.expected = level, seen, expected_so_far

    def add_votes(self, votes: int, remainder: float, cluster: float) -> None:
        """Add votes, of which none is expected."""
        if votes and self.level > 0.0:
            self.level += votes * log(remainder) / cluster
            self.seen += votes
            if self.level <= 0.0:
                self.clear()


def noticeable_s(events_per_min: float) -> float | None:
    """Return after how many seconds a stop can be noticed at a rate; None if it can't be."""
    if events_per_min < MIN_NOTICEABLE_PER_MIN:
        return None
    return NOTICEABLE_EVENTS * 60.0 / events_per_min
