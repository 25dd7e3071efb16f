"""The baseline of a session: what its people usually did until a minute ago."""

from math import sqrt
from typing import Final

import msgspec

from conductor_actors.domain.anomalies.changes import ExpectedScore
from conductor_actors.domain.anomalies.parameters import Parameters

BIN_S: Final = 5
MAX_BINS: Final = 16  # more than a minute has
# The mean of four minutes of counts is uncertain, and what is usual changes by 0.36 of itself.
UNCERTAINTY_S: Final = 240.0
VARIATION: Final = 0.13
MIN_CAUTIOUS_SHARE: Final = 0.3
MAX_DISPERSION: Final = 6.0
MIN_SCORE_SPREAD: Final = 0.02
SCORE_SPREADS: Final = 2.0


class Expected(msgspec.Struct, frozen=True, gc=False):
    """What the baseline expects of the people who are there, in events per second.

    The cautious rates are what is expected at least, since no mean is certain. Events come in
    clusters of these mean sizes, as answers to each other do: a size is the square root of the
    dispersion (Hawkes, 1971).
    """

    chats: float = 0.0
    reactions: float = 0.0
    cautious_chats: float = 0.0
    cautious_reactions: float = 0.0
    chat_cluster: float = 1.0
    reaction_cluster: float = 1.0

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
    guests: int
    active: int
    score: int


class Stream(msgspec.Struct, array_like=True, gc=False):
    """Events of one kind, chat messages or reactions: their means per second.

    `spread` is the mean square difference of neighbouring bins, which slow changes leave alone.
    """

    fast: float = 0.0
    slow: float = 0.0
    spread: float = 0.0
    last: float = 0.0  # the count of the last bin

    @property
    def dispersion(self) -> float:
        """The variance of a count as a multiple of its mean."""
        slow, spread = self.slow, self.spread
        if slow <= 0.0 or spread <= slow:
            return 1.0
        dispersion = spread / slow
        return dispersion if dispersion < MAX_DISPERSION else MAX_DISPERSION

    def learn(self, count: float, seconds: int, fast: float, slow: float) -> None:
        """Move the means towards a bin by these weights; a burst counts only in part."""
        if slow < fast:  # no longer among the first bins
            usual = self.slow * seconds
            most = usual + 4.0 * sqrt(self.dispersion * usual) + 2.0
            if most < count:
                count = most
        change, self.last = count - self.last, count
        self.spread += slow * (change * change / (2.0 * seconds) - self.spread)
        self.fast += fast * (count / seconds - self.fast)
        self.slow += slow * (count / seconds - self.slow)


class Baseline(msgspec.Struct, array_like=True, gc=False):
    """The usual rates and scores of a session. `bins` are those of the last minute."""

    chat: Stream = msgspec.field(default_factory=Stream)
    reaction: Stream = msgspec.field(default_factory=Stream)
    learnt: int = 0  # bins
    active: float = 0.0  # mean of the active users
    score: float = 0.0  # mean
    score_variance: float = 0.0
    fast_people: float = 0.0  # means
    slow_people: float = 0.0
    guests: float = 0.0
    bins: tuple[Bin, ...] = ()  # an empty list takes 56 bytes in each of many idle sessions
    chats: int = 0  # the sums of the bins
    reactions: int = 0
    seconds: int = 0

    def expect(
        self,
        connected: int,
        parameters: Parameters,
        *,
        is_chat_open: bool,
        is_slow: bool = False,
        before_ms: int | None = None,
    ) -> Expected | None:
        """Return what is expected of these people and the usual guests; None if that is little.

        Fewer people do less. More do not yet do more than was ever seen.
        """
        if self.learnt < parameters.min_bins or self.active < parameters.min_active:
            return None
        chat, reaction = self.chat, self.reaction
        share = self._share(connected, self.slow_people)
        chats, reactions = chat.slow * share, reaction.slow * share
        if not is_slow:
            share = self._share(connected, self.fast_people)
            fast_chats, fast_reactions = chat.fast * share, reaction.fast * share
            chats = fast_chats if fast_chats < chats else chats
            reactions = fast_reactions if fast_reactions < reactions else reactions
        if not is_chat_open:
            chats = 0.0
        if (chats + reactions) * 60.0 < parameters.min_expected_per_min:
            return None
        of_chats, of_reactions = chat.dispersion, reaction.dispersion
        if before_ms is not None:
            dispersion = of_reactions if of_reactions > of_chats else of_chats
            recent = self._recent_share(chats, reactions, before_ms, dispersion, parameters)
            chats, reactions = chats * recent, reactions * recent
        known_s = float(BIN_S * self.learnt)
        known_s = known_s if known_s < UNCERTAINTY_S else UNCERTAINTY_S
        return Expected(
            chats,
            reactions,
            _cautious(chats, of_chats, known_s),
            _cautious(reactions, of_reactions, known_s),
            sqrt(of_chats),
            sqrt(of_reactions),
        )

    def rate(self, connected: int, *, is_chat_open: bool) -> float:
        """Return the usual events per second of these people and the usual guests."""
        chats = self.chat.slow if is_chat_open else 0.0
        return (chats + self.reaction.slow) * self._share(connected, self.slow_people)

    def audience(self, connected: int) -> float:
        """Return these people and the usual guests."""
        return connected + self.guests

    def expected_score(self, parameters: Parameters) -> ExpectedScore | None:
        """Return the range of scores that is usual; None before there is a baseline."""
        if self.learnt < parameters.min_bins:
            return None
        spread = SCORE_SPREADS * max(MIN_SCORE_SPREAD, sqrt(self.score_variance))
        return ExpectedScore(max(0.0, self.score - spread), min(1.0, self.score + spread))

    def add(self, added: Bin) -> None:
        """Add the counts since the last tick; short ones are added to the last bin."""
        bins = self.bins
        self.chats += added.chats
        self.reactions += added.reactions
        self.seconds += added.seconds
        if bins and bins[-1].seconds + added.seconds <= BIN_S:
            last, bins = bins[-1], bins[:-1]
            added = Bin(
                added.end_ms,
                last.seconds + added.seconds,
                last.chats + added.chats,
                last.reactions + added.reactions,
                added.people,
                added.guests,
                added.active,
                added.score,
            )
        self.bins = (*bins, added)
        if len(self.bins) > MAX_BINS:
            self._remove_oldest()

    def learn(self, before_ms: int, suspect_ms: int | None, parameters: Parameters) -> None:
        """Learn from the bins that end before a time, but not from those after `suspect_ms`."""
        while self.bins and self.bins[0].end_ms <= before_ms:
            oldest = self._remove_oldest()
            if suspect_ms is None or oldest.end_ms <= suspect_ms:
                self._learn(oldest, parameters)

    def forget_bins(self) -> None:
        """Learn nothing from the bins, and compare nothing with them."""
        if self.bins:
            self.bins = ()
            self.chats = self.reactions = self.seconds = 0

    def counts_since(self, begin_ms: int) -> tuple[int, int, int]:
        """Return the chats, the reactions and the seconds of the bins that begin since then."""
        chats = reactions = seconds = 0
        for each in reversed(self.bins):
            if each.end_ms <= begin_ms:  # most often, what ends by then begins before
                break
            bin_s = each.seconds
            if each.end_ms - bin_s * 1000 < begin_ms:
                break
            chats += each.chats
            reactions += each.reactions
            seconds += bin_s
        return chats, reactions, seconds

    def _remove_oldest(self) -> Bin:
        oldest, self.bins = self.bins[0], self.bins[1:]
        self.chats -= oldest.chats
        self.reactions -= oldest.reactions
        self.seconds -= oldest.seconds
        return oldest

    def _learn(self, oldest: Bin, parameters: Parameters) -> None:
        self.learnt += 1
        first, seconds = 1.0 / self.learnt, oldest.seconds
        fast, slow = seconds / parameters.fast_s, seconds / parameters.slow_s
        fast, slow = first if first > fast else fast, first if first > slow else slow
        limit = parameters.max_events_per_active * (oldest.active or 1)
        chats, reactions = oldest.chats, oldest.reactions
        self.chat.learn(limit if limit < chats else chats, seconds, fast, slow)
        self.reaction.learn(limit if limit < reactions else reactions, seconds, fast, slow)
        self.fast_people += fast * (oldest.people - self.fast_people)
        self.slow_people += slow * (oldest.people - self.slow_people)
        self.guests += fast * (oldest.guests - self.guests)
        self.active += fast * (oldest.active - self.active)
        difference = oldest.score / 1000.0 - self.score
        self.score += fast * difference
        self.score_variance += fast * (difference * difference - self.score_variance)

    def _recent_share(
        self,
        chats: float,
        reactions: float,
        before_ms: int,
        dispersion: float,
        parameters: Parameters,
    ) -> float:
        """Return the share of the expected rates that the last minute may have had, at most 1."""
        all_chats, all_reactions, seconds = self.chats, self.reactions, self.seconds
        for each in reversed(self.bins):
            if each.end_ms <= before_ms:
                break
            all_chats -= each.chats
            all_reactions -= each.reactions
            seconds -= each.seconds
        count = all_chats + all_reactions if chats > 0.0 else all_reactions
        if seconds < parameters.min_recent_s:
            return 1.0
        most = count + parameters.recent_spreads * sqrt(dispersion * count) + 1.0
        return min(1.0, most / ((chats + reactions) * seconds))

    def _share(self, connected: int, usual_people: float) -> float:
        """Return the share of the usual people who are there, at most 1."""
        people = connected + self.guests
        return people / usual_people if people < usual_people else 1.0


def _cautious(expected: float, dispersion: float, known_s: float) -> float:
    if expected <= 0.0:
        return 0.0
    share = 1.0 - sqrt(dispersion / (known_s * expected) + VARIATION + BIN_S / known_s)
    return expected * (share if share > MIN_CAUTIOUS_SHARE else MIN_CAUTIOUS_SHARE)
