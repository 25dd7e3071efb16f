"""Sudden drops and gradual declines: the people are there, and do much less than before."""

import msgspec

from conductor_actors.domain.anomalies import reasons
from conductor_actors.domain.anomalies.baseline import Baseline, Expected
from conductor_actors.domain.anomalies.evidence import Evidence
from conductor_actors.domain.anomalies.finding import Finding
from conductor_actors.domain.anomalies.observation import Observation
from conductor_actors.domain.anomalies.parameters import Parameters


class Drops(msgspec.Struct, array_like=True, gc=False):
    """The evidence for either."""

    sudden: Evidence = msgspec.field(default_factory=Evidence)
    gradual: Evidence = msgspec.field(default_factory=Evidence)

    def clear(self) -> None:
        """Forget the evidence."""
        self.sudden.clear()
        self.gradual.clear()

    def weigh(
        self, seen: Observation, votes: int, baseline: Baseline, parameters: Parameters
    ) -> None:
        """Add what was seen since the last tick to the evidence."""
        before_ms = self.sudden.onset_ms if self.sudden.level > 0.0 else seen.at_ms
        usual = baseline.expect(
            seen.connected, parameters, is_chat_open=seen.is_chat_open, before_ms=before_ms
        )
        if usual is None:
            self.clear()
            return
        begin_ms = seen.at_ms - len(seen.chats) * 1000
        remainder = parameters.drop_remainder
        self.sudden.add_seconds(begin_ms, seen.chats, seen.reactions, usual, remainder)
        self.sudden.add_votes(votes, remainder, usual.chat_cluster)
        usual = baseline.expect(
            seen.connected, parameters, is_chat_open=seen.is_chat_open, is_slow=True
        )
        if usual is None:
            self.gradual.clear()
            return
        remainder = parameters.decline_remainder
        self.gradual.add_seconds(begin_ms, seen.chats, seen.reactions, usual, remainder)
        self.gradual.add_votes(votes, remainder, usual.chat_cluster)

    def find(self, seen: Observation, baseline: Baseline, parameters: Parameters) -> Finding | None:
        """Return a drop or a decline, if the evidence suffices."""
        off = parameters.types_off
        if self.sudden.level >= parameters.least_drop_evidence and "SUDDEN_DROP" not in off:
            usual = baseline.expect(seen.connected, parameters, is_chat_open=seen.is_chat_open)
            stop_ms = seen.at_ms - self.sudden.onset_ms
            if (
                usual is not None
                and self.sudden.level >= _needed(usual, parameters)
                and parameters.min_stop_s * 1000 <= stop_ms <= parameters.max_stop_s * 1000
            ):
                return _finding(self.sudden, seen, is_sudden=True)
        if self.gradual.level >= parameters.decline_evidence and "GRADUAL_DECLINE" not in off:
            usual = baseline.expect(
                seen.connected, parameters, is_chat_open=seen.is_chat_open, is_slow=True
            )
            if usual is not None and _is_low(seen.at_ms, usual, baseline, parameters):
                return _finding(self.gradual, seen, is_sudden=False)
        return None

    def suspect_ms(self, at_ms: int, parameters: Parameters) -> int | None:
        """Return since when the counts are suspect, so that they must not teach; None: not.

        What has been suspect for minutes, and was no anomaly, is usual.
        """
        suspects = []
        sudden, gradual = self.sudden, self.gradual
        if sudden.level > 0.0 and at_ms - sudden.onset_ms < parameters.drop_suspect_s * 1000:
            suspects.append(sudden.onset_ms)
        if (
            gradual.level > parameters.decline_evidence / 2
            and at_ms - gradual.onset_ms < parameters.decline_suspect_s * 1000
        ):
            suspects.append(gradual.onset_ms)
        return min(suspects) if suspects else None  # `default` takes longer


def has_recovered(
    seen: Observation, began_ms: int, baseline: Baseline, parameters: Parameters
) -> bool:
    """Check whether enough of what is usual is back, for long enough."""
    usual = baseline.rate(seen.connected, is_chat_open=seen.is_chat_open)
    since_ms = max(began_ms, seen.at_ms - parameters.recovered_s * 1000)
    chats, reactions, seconds = baseline.counts_since(since_ms)
    needed = parameters.recovered_share * usual * seconds
    return seconds >= parameters.recovered_s and chats + reactions >= needed


def _needed(usual: Expected, parameters: Parameters) -> float:
    expected_per_min = usual.total * 60.0
    if expected_per_min >= parameters.busy_expected_per_min:
        return parameters.busy_drop_evidence
    if expected_per_min < parameters.scarce_expected_per_min:
        return parameters.scarce_drop_evidence
    return parameters.drop_evidence


def _is_low(at_ms: int, usual: Expected, baseline: Baseline, parameters: Parameters) -> bool:
    """Check whether the last minute has so little as to be a decline."""
    chats, reactions, seconds = baseline.counts_since(at_ms - 60_000)
    return chats + reactions <= parameters.decline_max_share * usual.total * seconds


def _finding(evidence: Evidence, seen: Observation, *, is_sudden: bool) -> Finding:
    onset_ms, expected = evidence.onset_ms, evidence.expected
    degree = 1.0 - evidence.seen / expected if evidence.seen < expected else 0.0
    people = seen.people if seen.is_audience_known else None
    reason = reasons.of_drop(evidence.seen, expected, (seen.at_ms - onset_ms) // 1000, people)
    if is_sudden:
        return Finding("SUDDEN_DROP", "CRITICAL", degree, onset_ms, reason)
    return Finding("GRADUAL_DECLINE", "WARNING", degree, onset_ms, reason)
