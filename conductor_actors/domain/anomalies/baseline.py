"""The baseline of a session: what its people usually did until a minute ago."""

from math import sqrt
from typing import Final

import msgspec

from conductor_actors.domain.anomalies.changes import ExpectedScore
from conductor_actors.domain.anomalies.parameters import Parameters

BIN_S: Final = 5
MAX_BINS: Final = 16  # more than a minute has
# The mean of four minutes of counts is uncertain, and what is usual changes by 0.3 of itself.
UNCERTAINTY_S: Final = 240.0
VARIATION: Final = 0.09
MIN_CAUTIOUS_SHARE: Final = 0.3
MAX_DISPERSION: Final = 6.0
MIN_SCORE_SPREAD: Final = 0.02
SCORE_SPREADS: Final = 2.0


class Expected(msgspec.Struct, frozen=True, gc=False):
    """What the baseline expects of the people who are there, in events per second.

    The cautious rates are what is expected at least, since no mean is certain. A dispersion is the
    variance of a count as a multiple of its mean.
    """

    chats: float = 0.0
    reactions: float = 0.0
    cautious_chats: float = 0.0
    cautious_reactions: float = 0.0
    chat_dispersion: float = 1.0
    reaction_dispersion: float = 1.0

    @property
    def total(self) -> float:
        """Events of both kinds per second."""
        return self.chats + self.reactions


class Bin(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The counts of some seconds before `end_ms`. `score` is in thousandths."""

    end_ms: int
    seconds: int
    chats: int
    reactions: int
    people: int
    active: int
    score: int


class Stream(msgspec.Struct, array_like=True, gc=False):
    """Events of one kind, chat messages or reactions: their means per person and second.

    `shortfall` is the mean square of what bins lacked, `expected` is the mean of what they should
    have had.
    """

    fast: float = 0.0
    slow: float = 0.0
    shortfall: float = 0.0
    expected: float = 0.0

    @property
    def rate(self) -> float:
        """The expected events per person and second: the lower of both means."""
        return min(self.fast, self.slow)

    @property
    def dispersion(self) -> float:
        """The variance of a count as a multiple of its mean, from shortfalls alone."""
        if self.expected <= 0.0:
            return 1.0
        return min(MAX_DISPERSION, max(1.0, 2.0 * self.shortfall / self.expected))

    def learn(self, count: float, person_s: float, fast: float, slow: float) -> None:
        """Move the means towards a bin by these weights; a burst counts only in part."""
        expected = self.rate * person_s
        if slow < fast:  # no longer among the first bins
            usual = self.slow * person_s
            count = min(count, usual + 4.0 * sqrt(self.dispersion * usual) + 2.0)
        lack = max(0.0, expected - count)
        self.shortfall += slow * (lack * lack - self.shortfall)
        self.expected += slow * (expected - self.expected)
        per_person = count / person_s
        self.fast += fast * (per_person - self.fast)
        self.slow += slow * (per_person - self.slow)


class Baseline(msgspec.Struct, array_like=True, gc=False):
    """The usual rates and scores of a session. `bins` are those of the last minute."""

    chat: Stream = msgspec.field(default_factory=Stream)
    reaction: Stream = msgspec.field(default_factory=Stream)
    learnt: int = 0  # bins
    active: float = 0.0  # mean of the active users
    score: float = 0.0  # mean
    score_variance: float = 0.0
    bins: list[Bin] = []

    def expect(
        self, people: int, parameters: Parameters, *, is_chat_open: bool, is_slow: bool = False
    ) -> Expected | None:
        """Return what is expected of so many people; None if that is too little to judge."""
        chat, reaction = self.chat, self.reaction
        if self.learnt < parameters.min_bins or self.active < parameters.min_active:
            return None
        chats = (chat.slow if is_slow else chat.rate) * people if is_chat_open else 0.0
        reactions = (reaction.slow if is_slow else reaction.rate) * people
        if (chats + reactions) * 60.0 < parameters.min_expected_per_min:
            return None
        chat_dispersion, reaction_dispersion = chat.dispersion, reaction.dispersion
        return Expected(
            chats,
            reactions,
            _cautious(chats, chat_dispersion),
            _cautious(reactions, reaction_dispersion),
            chat_dispersion,
            reaction_dispersion,
        )

    def rate(self, people: int, *, is_chat_open: bool) -> float:
        """Return the usual events per second of so many people."""
        return (self.chat.rate * is_chat_open + self.reaction.rate) * people

    def expected_score(self, parameters: Parameters) -> ExpectedScore | None:
        """Return the range of scores that is usual; None before there is a baseline."""
        if self.learnt < parameters.min_bins:
            return None
        spread = SCORE_SPREADS * max(MIN_SCORE_SPREAD, sqrt(self.score_variance))
        return ExpectedScore(max(0.0, self.score - spread), min(1.0, self.score + spread))

    def add(self, added: Bin) -> None:
        """Add the counts since the last tick; short ones are added to the last bin."""
        if self.bins and self.bins[-1].seconds + added.seconds <= BIN_S:
            last = self.bins.pop()
            added = Bin(
                added.end_ms,
                last.seconds + added.seconds,
                last.chats + added.chats,
                last.reactions + added.reactions,
                added.people,
                added.active,
                added.score,
            )
        self.bins.append(added)
        if len(self.bins) > MAX_BINS:
            del self.bins[0]

    def learn(self, before_ms: int, suspect_ms: int | None, parameters: Parameters) -> None:
        """Learn from the bins that end before a time, but not from those after `suspect_ms`."""
        while self.bins and self.bins[0].end_ms <= before_ms:
            oldest = self.bins.pop(0)
            if suspect_ms is None or oldest.end_ms <= suspect_ms:
                self._learn(oldest, parameters)

    def counts_since(self, begin_ms: int) -> tuple[int, int, int]:
        """Return the chats, the reactions and the seconds of the bins that begin since then."""
        chats = reactions = seconds = 0
        for each in self.bins:
            if each.end_ms - each.seconds * 1000 >= begin_ms:
                chats += each.chats
                reactions += each.reactions
                seconds += each.seconds
        return chats, reactions, seconds

    def _learn(self, oldest: Bin, parameters: Parameters) -> None:
        self.learnt += 1
        first = 1.0 / self.learnt
        fast = max(first, oldest.seconds / parameters.fast_s)
        slow = max(first, oldest.seconds / parameters.slow_s)
        limit = parameters.max_events_per_active * max(1, oldest.active)
        person_s = float(max(1, oldest.people) * oldest.seconds)
        self.chat.learn(min(oldest.chats, limit), person_s, fast, slow)
        self.reaction.learn(min(oldest.reactions, limit), person_s, fast, slow)
        self.active += fast * (oldest.active - self.active)
        difference = oldest.score / 1000.0 - self.score
        self.score += fast * difference
        self.score_variance += fast * (difference * difference - self.score_variance)


def _cautious(expected: float, dispersion: float) -> float:
    if expected <= 0.0:
        return 0.0
    spread = sqrt(dispersion / (UNCERTAINTY_S * expected) + VARIATION)
    return expected * max(MIN_CAUTIOUS_SHARE, 1.0 - spread)
