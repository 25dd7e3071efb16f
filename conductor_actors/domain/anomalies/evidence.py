"""Evidence that a session does less than its baseline expects: a cumulative sum over seconds."""

from math import log, sqrt
from typing import Final

from conductor_actors.domain.anomalies.baseline import Baseline
from conductor_actors.domain.anomalies.bin import BIN_S
from conductor_actors.domain.anomalies.packed_detector import Packed

# The mean of four minutes of counts is uncertain, and what is usual changes by 0.36 of itself.
UNCERTAINTY_S: Final = 240.0
VARIATION: Final = 0.13
MIN_CAUTIOUS_SHARE: Final = 0.3
# A stop is surprising once about nine events are missing.
NOTICEABLE_EVENTS: Final = 9.0
MIN_NOTICEABLE_PER_MIN: Final = 10.0


class Expected:
    """What is expected of the people who are there, in events per second.

    `cautious` is what is expected at least, since no mean is certain. Events come in clusters of
    these mean sizes, as answers to each other do, and it counts those: a size is the square root of
    the dispersion (Hawkes, 1971).
    """

    __slots__ = ("cautious", "chat_cluster", "reaction_cluster", "total")

    def __init__(self, chats: float, reactions: float, baseline: Baseline) -> None:
        known_s = float(BIN_S * baseline.learnt)
        known_s = known_s if known_s < UNCERTAINTY_S else UNCERTAINTY_S
        of_chats, of_reactions = baseline.chat.dispersion, baseline.reaction.dispersion
        self.total = chats + reactions
        self.chat_cluster = chat_cluster = sqrt(of_chats)
        self.reaction_cluster = reaction_cluster = sqrt(of_reactions)
        self.cautious = (
            _cautious(chats, of_chats, known_s) / chat_cluster
            + _cautious(reactions, of_reactions, known_s) / reaction_cluster
        )


class Evidence:
    """How much the counts since `onset_ms` speak for a drop, in nats; 0 if they don't.

    `seen` and `expected` are the events since then.
    """

    __slots__ = ("expected", "level", "onset_ms", "seen")

    def __init__(
        self, level: float = 0.0, onset_ms: int = 0, seen: int = 0, expected: float = 0.0
    ) -> None:
        self.level = level
        self.onset_ms = onset_ms
        self.seen = seen
        self.expected = expected

    def clear(self) -> None:
        """Forget what there is."""
        self.level = 0.0
        self.seen = 0
        self.expected = 0.0

    def add_seconds(
        self,
        begin_ms: int,
        chats: list[int],
        reactions: list[int],
        expected: Expected,
        remainder: float,
    ) -> None:
        """Add the counts of some seconds, in order, from `begin_ms` on."""
        level, seen, expected_so_far = self.level, self.seen, self.expected
        onset_ms, missing, total = self.onset_ms, log(remainder), expected.total
        gain = (1.0 - remainder) * expected.cautious
        per_chat = missing / expected.chat_cluster
        per_reaction = missing / expected.reaction_cluster
        for second in range(len(chats)):
            chat, reaction = chats[second], reactions[second]
            added = gain + per_chat * chat + per_reaction * reaction
            if level > 0.0:
                level += added
                seen += chat + reaction
                expected_so_far += total
            elif added > 0.0:
                level, seen, expected_so_far = added, chat + reaction, total
                onset_ms = begin_ms + second * 1000
        if level <= 0.0:
            self.clear()
            return
        self.level, self.seen, self.expected = level, seen, expected_so_far
        self.onset_ms = onset_ms

    def add_votes(self, votes: int, remainder: float, cluster: float) -> None:
        """Add votes, of which none is expected."""
        if votes and self.level > 0.0:
            self.level += votes * log(remainder) / cluster
            self.seen += votes
            if self.level <= 0.0:
                self.clear()

    def pack(self) -> Packed:
        """Return it as a checkpoint stores it."""
        return (self.level, self.onset_ms, self.seen, self.expected)


def noticeable_s(events_per_min: float) -> float | None:
    """Return after how many seconds a stop can be noticed at a rate; None if it can't be."""
    if events_per_min < MIN_NOTICEABLE_PER_MIN:
        return None
    return NOTICEABLE_EVENTS * 60.0 / events_per_min


def _cautious(expected: float, dispersion: float, known_s: float) -> float:
    if expected <= 0.0:
        return 0.0
    share = 1.0 - sqrt(dispersion / (known_s * expected) + VARIATION + BIN_S / known_s)
    return expected * (share if share > MIN_CAUTIOUS_SHARE else MIN_CAUTIOUS_SHARE)
