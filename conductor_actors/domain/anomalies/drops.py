"""Sudden drops and gradual declines: the people are there, and do much less than before."""

from math import sqrt

from conductor_actors.domain.anomalies import reasons
from conductor_actors.domain.anomalies.baseline import Baseline, is_little
from conductor_actors.domain.anomalies.evidence import Evidence, Expected
from conductor_actors.domain.anomalies.finding import Finding
from conductor_actors.domain.anomalies.observation import Observation
from conductor_actors.domain.anomalies.packed_detector import Packed, PackedDrops
from conductor_actors.domain.anomalies.parameters import (
    BUSY_EXPECTED_PER_MIN,
    DECLINE_MAX_SHARE,
    DECLINE_REMAINDER,
    DECLINE_SUSPECT_MS,
    DROP_REMAINDER,
    DROP_SUSPECT_MS,
    MAX_STOP_MS,
    MIN_RECENT_S,
    MIN_STOP_MS,
    RECENT_SPREADS,
    RECOVERED_S,
    RECOVERED_SHARE,
    SCARCE_EXPECTED_PER_MIN,
    Parameters,
)
from conductor_actors.domain.windows import NEVER_MS


class Drops:
    """The evidence for either."""

    __slots__ = ("gradual", "sudden")

    def __init__(self) -> None:
        self.sudden = Evidence()
        self.gradual = Evidence()

    def clear(self) -> None:
        """Forget the evidence."""
        self.sudden.clear()
        self.gradual.clear()

    def weigh(self, seen: Observation, votes: int, baseline: Baseline) -> None:
        """Add what was seen since the last tick to the evidence."""
        connected, has_chat = seen.people - seen.guests, seen.is_chat_open
        chats, reactions = baseline.rates(connected)
        chats = chats if has_chat else 0.0
        if is_little(chats, reactions):
            self.clear()
            return
        sudden, gradual = self.sudden, self.gradual
        before_ms = sudden.onset_ms if sudden.level > 0.0 else seen.at_ms
        share = _recent_share(chats, reactions, before_ms, baseline)
        usual = Expected(chats * share, reactions * share, baseline)
        begin_ms = seen.at_ms - len(seen.chats) * 1000
        sudden.add_seconds(begin_ms, seen.chats, seen.reactions, usual, DROP_REMAINDER)
        chats, reactions = baseline.slow_rates(connected)
        usual = Expected(chats if has_chat else 0.0, reactions, baseline)
        gradual.add_seconds(begin_ms, seen.chats, seen.reactions, usual, DECLINE_REMAINDER)
        if votes:
            sudden.add_votes(votes, DROP_REMAINDER, usual.chat_cluster)
            gradual.add_votes(votes, DECLINE_REMAINDER, usual.chat_cluster)

    def find(self, seen: Observation, baseline: Baseline, parameters: Parameters) -> Finding | None:
        """Return a drop or a decline, if the evidence suffices; the tick was weighed."""
        sudden, gradual = self.sudden, self.gradual
        if (
            sudden.level > 0.0
            and sudden.level >= parameters.least_drop_evidence
            and "SUDDEN_DROP" not in parameters.types_off
            and MIN_STOP_MS <= seen.at_ms - sudden.onset_ms <= MAX_STOP_MS
        ):
            chats, reactions = baseline.rates(seen.people - seen.guests)
            usual = chats + reactions if seen.is_chat_open else reactions
            if sudden.level >= _needed(usual, parameters):
                return _finding(sudden, seen, is_sudden=True)
        if (
            gradual.level > 0.0
            and gradual.level >= parameters.decline_evidence
            and "GRADUAL_DECLINE" not in parameters.types_off
            and _is_low(seen, baseline)
        ):
            return _finding(gradual, seen, is_sudden=False)
        return None

    def suspect_ms(self, at_ms: int, parameters: Parameters) -> int:
        """Return since when the counts are suspect, so that they must not teach.

        What has been suspect for minutes, and was no anomaly, is usual.
        """
        sudden, gradual, since_ms = self.sudden, self.gradual, NEVER_MS
        if sudden.level > 0.0 and at_ms - sudden.onset_ms < DROP_SUSPECT_MS:
            since_ms = sudden.onset_ms
        if (
            gradual.level > 0.0
            and gradual.onset_ms < since_ms
            and at_ms - gradual.onset_ms < DECLINE_SUSPECT_MS
            and gradual.level > parameters.decline_evidence / 2
        ):
            since_ms = gradual.onset_ms
        return since_ms

    def pack(self) -> Packed:
        """Return them as a checkpoint stores them."""
        return (self.sudden.pack(), self.gradual.pack())


def unpack_drops(packed: PackedDrops) -> Drops:
    """Return the drops that were stored."""
    drops = Drops()
    drops.sudden, drops.gradual = Evidence(*packed.sudden), Evidence(*packed.gradual)
    return drops


def has_recovered(seen: Observation, began_ms: int, baseline: Baseline) -> bool:
    """Check whether enough of what is usual is back, for long enough."""
    usual = baseline.rate(seen.people - seen.guests, is_chat_open=seen.is_chat_open)
    since_ms = max(began_ms, seen.at_ms - RECOVERED_S * 1000)
    chats, reactions, seconds = baseline.counts_since(since_ms)
    return seconds >= RECOVERED_S and chats + reactions >= RECOVERED_SHARE * usual * seconds


def _recent_share(chats: float, reactions: float, before_ms: int, baseline: Baseline) -> float:
    """Return the share of the expected rates that the last minute may have had, at most 1."""
    recent_chats, count, seconds = baseline.counts_until(before_ms)
    if chats > 0.0:
        count += recent_chats
    if seconds < MIN_RECENT_S:
        return 1.0
    dispersion, of_reactions = baseline.chat.dispersion, baseline.reaction.dispersion
    if of_reactions > dispersion:
        dispersion = of_reactions
    most = count + RECENT_SPREADS * sqrt(dispersion * count) + 1.0
    share = most / ((chats + reactions) * seconds)
    return share if share < 1.0 else 1.0


def _needed(expected_per_s: float, parameters: Parameters) -> float:
    expected_per_min = expected_per_s * 60.0
    if expected_per_min >= BUSY_EXPECTED_PER_MIN:
        return parameters.busy_drop_evidence
    if expected_per_min < SCARCE_EXPECTED_PER_MIN:
        return parameters.scarce_drop_evidence
    return parameters.drop_evidence


def _is_low(seen: Observation, baseline: Baseline) -> bool:
    """Check whether the last minute has so little as to be a decline."""
    chats_per_s, reactions_per_s = baseline.slow_rates(seen.people - seen.guests)
    usual = chats_per_s + reactions_per_s if seen.is_chat_open else reactions_per_s
    chats, reactions, seconds = baseline.counts_since(seen.at_ms - 60_000)
    return chats + reactions <= DECLINE_MAX_SHARE * usual * seconds


def _finding(evidence: Evidence, seen: Observation, *, is_sudden: bool) -> Finding:
    onset_ms, expected = evidence.onset_ms, evidence.expected
    degree = 1.0 - evidence.seen / expected if evidence.seen < expected else 0.0
    people = seen.people if seen.is_audience_known else None
    reason = reasons.of_drop(evidence.seen, expected, (seen.at_ms - onset_ms) // 1000, people)
    if is_sudden:
        return Finding("SUDDEN_DROP", "CRITICAL", degree, onset_ms, reason)
    return Finding("GRADUAL_DECLINE", "WARNING", degree, onset_ms, reason)
