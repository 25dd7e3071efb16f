"""The baseline of a session: what its people usually did until a minute ago."""

from math import sqrt
from typing import Final

from conductor_actors.domain.anomalies.bin import BIN_S, MAX_BINS, Bin
from conductor_actors.domain.anomalies.changes import ExpectedScore
from conductor_actors.domain.anomalies.packed_detector import Packed, PackedBaseline
from conductor_actors.domain.anomalies.parameters import (
    FAST_S,
    MAX_EVENTS_PER_ACTIVE,
    MIN_ACTIVE,
    MIN_BINS,
    MIN_EXPECTED_PER_MIN,
    SLOW_S,
)
from conductor_actors.domain.anomalies.stream import NO_EVENTS, Stream

MIN_SCORE_SPREAD: Final = 0.02
SCORE_SPREADS: Final = 2.0


class Baseline:
    """The usual rates and scores of a session. `bins` are those of the last minute."""

    __slots__ = (
        "active",
        "bins",
        "chat",
        "chats",
        "fast_people",
        "guests",
        "learnt",
        "reaction",
        "reactions",
        "score",
        "score_variance",
        "seconds",
        "slow_people",
    )

    def __init__(self) -> None:
        """Begin without knowledge."""
        self.chat = NO_EVENTS
        self.reaction = NO_EVENTS
        self.learnt = 0  # bins
        self.active = 0.0  # mean of the active users
        self.score = 0.0  # mean
        self.score_variance = 0.0
        self.fast_people = 0.0  # means
        self.slow_people = 0.0
        self.guests = 0.0
        self.bins: tuple[Bin, ...] = ()
        self.chats = 0  # the sums of the bins
        self.reactions = 0
        self.seconds = 0

    def can_compare(self) -> bool:
        """Check whether enough is known, of a session that has enough active users."""
        return self.learnt >= MIN_BINS and self.active >= MIN_ACTIVE

    def slow_rates(self, connected: int) -> tuple[float, float]:
        """Return the usual chats and reactions per second of these people and the usual guests.

        Fewer people do less. More do not yet do more than was ever seen.
        """
        chats, reactions = self.chat.slow, self.reaction.slow
        people, usual_people = connected + self.guests, self.slow_people
        if people < usual_people:
            share = people / usual_people
            return chats * share, reactions * share
        return chats, reactions

    def rates(self, connected: int) -> tuple[float, float]:
        """Return the same, or what was usual in the last minutes if that is less."""
        chats, reactions = self.slow_rates(connected)
        fast_chats, fast_reactions = self.chat.fast, self.reaction.fast
        people, usual_people = connected + self.guests, self.fast_people
        if people < usual_people:
            share = people / usual_people
            fast_chats, fast_reactions = fast_chats * share, fast_reactions * share
        chats = fast_chats if fast_chats < chats else chats
        return chats, fast_reactions if fast_reactions < reactions else reactions

    def rate(self, connected: int, *, is_chat_open: bool) -> float:
        """Return the usual events per second of these people and the usual guests."""
        events = (self.chat.slow if is_chat_open else 0.0) + self.reaction.slow
        people, usual_people = connected + self.guests, self.slow_people
        return events * (people / usual_people if people < usual_people else 1.0)

    def expected_score(self) -> ExpectedScore | None:
        """Return the range of scores that is usual; None before there is a baseline."""
        if self.learnt < MIN_BINS:
            return None
        spread, score = sqrt(self.score_variance), self.score
        spread = SCORE_SPREADS * (spread if spread > MIN_SCORE_SPREAD else MIN_SCORE_SPREAD)
        low, high = score - spread, score + spread
        return ExpectedScore(low if low > 0.0 else 0.0, high if high < 1.0 else 1.0)

    def add(self, added: Bin) -> None:
        """Add the counts since the last tick; short ones are added to the last bin."""
        bins, seconds = self.bins, added.seconds
        self.chats += added.chats
        self.reactions += added.reactions
        self.seconds += seconds
        if seconds < BIN_S and bins and bins[-1].seconds + seconds <= BIN_S:
            bins[-1].add(added)
            return
        self.bins = bins + (added,)  # noqa: RUF005 - that would make a list first
        if len(bins) >= MAX_BINS:
            self._remove_oldest()

    def learn(self, before_ms: int, suspect_ms: int) -> None:
        """Learn from the bins that end before a time, but not from those after `suspect_ms`."""
        while self.bins and self.bins[0].end_ms <= before_ms:
            oldest = self._remove_oldest()
            if oldest.end_ms <= suspect_ms:
                self._learn(oldest)

    def forget_bins(self) -> None:
        """Learn nothing from the bins, and compare nothing with them."""
        if self.bins:
            self.bins = ()
            self.chats = self.reactions = self.seconds = 0

    def counts_since(self, begin_ms: int) -> tuple[int, int, int]:
        """Return the chats, the reactions and the seconds of the bins that begin since then."""
        chats = reactions = seconds = 0
        for each in reversed(self.bins):
            bin_s, end_ms = each.seconds, each.end_ms
            if end_ms - bin_s * 1000 < begin_ms:
                break
            chats += each.chats
            reactions += each.reactions
            seconds += bin_s
        return chats, reactions, seconds

    def counts_until(self, end_ms: int) -> tuple[int, int, int]:
        """Return the chats, the reactions and the seconds of the bins that end until then."""
        chats, reactions, seconds = self.chats, self.reactions, self.seconds
        for each in reversed(self.bins):
            if each.end_ms <= end_ms:  # most often, all of them
                break
            chats -= each.chats
            reactions -= each.reactions
            seconds -= each.seconds
        return chats, reactions, seconds

    def pack(self) -> Packed:
        """Return it as a checkpoint stores it."""
        return (
            self.chat.pack(),
            self.reaction.pack(),
            self.learnt,
            self.active,
            self.score,
            self.score_variance,
            self.fast_people,
            self.slow_people,
            self.guests,
            tuple([each.pack() for each in self.bins]),
            self.chats,
            self.reactions,
            self.seconds,
        )

    def _remove_oldest(self) -> Bin:
        oldest, self.bins = self.bins[0], self.bins[1:]
        self.chats -= oldest.chats
        self.reactions -= oldest.reactions
        self.seconds -= oldest.seconds
        return oldest

    def _learn(self, oldest: Bin) -> None:
        self.learnt = learnt = self.learnt + 1
        first, seconds, active = 1.0 / learnt, oldest.seconds, oldest.active
        fast, slow = seconds / FAST_S, seconds / SLOW_S
        if slow < first:
            slow = first
            if fast < first:
                fast = first
        limit = MAX_EVENTS_PER_ACTIVE * (active or 1)
        chats, reactions = oldest.chats, oldest.reactions
        if chats and self.chat is NO_EVENTS:
            self.chat = Stream()
        if reactions and self.reaction is NO_EVENTS:
            self.reaction = Stream()
        self.chat.learn(limit if limit < chats else chats, seconds, fast, slow)
        self.reaction.learn(limit if limit < reactions else reactions, seconds, fast, slow)
        people, score = oldest.people, self.score
        self.fast_people += fast * (people - self.fast_people)
        self.slow_people += slow * (people - self.slow_people)
        self.guests += fast * (oldest.guests - self.guests)
        self.active += fast * (active - self.active)
        difference = oldest.score / 1000.0 - score
        self.score = score + fast * difference
        self.score_variance += fast * (difference * difference - self.score_variance)


def is_little(chats: float, reactions: float) -> bool:
    """Check whether rates per second are too low to compare with."""
    return (chats + reactions) * 60.0 < MIN_EXPECTED_PER_MIN


def unpack_baseline(packed: PackedBaseline) -> Baseline:
    """Return the baseline that was stored."""
    baseline = Baseline()
    if any(packed.chat):
        baseline.chat = Stream(*packed.chat)
    if any(packed.reaction):
        baseline.reaction = Stream(*packed.reaction)
    baseline.learnt, baseline.active = packed.learnt, packed.active
    baseline.score, baseline.score_variance = packed.score, packed.score_variance
    baseline.fast_people, baseline.slow_people = packed.fast_people, packed.slow_people
    baseline.guests = packed.guests
    baseline.bins = tuple([Bin(*each) for each in packed.bins])
    baseline.chats, baseline.reactions = packed.chats, packed.reactions
    baseline.seconds = packed.seconds
    return baseline
