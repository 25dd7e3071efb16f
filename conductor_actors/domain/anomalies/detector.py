"""The detector of a session: it watches every tick, and reports what begins and what ends.

A session is compared with its own past. Everything here is determined by its inputs: sums,
products, quotients, square roots and logarithms in one order. Source of the types: the contract,
section 2.
"""

from typing import Final, Protocol
from uuid import UUID, uuid5

import msgspec

from conductor_actors.domain.anomalies.baseline import Baseline, Bin
from conductor_actors.domain.anomalies.changes import (
    AnomalyBegan,
    AnomalyChange,
    AnomalyEnded,
    AnomalyType,
    ExpectedScore,
)
from conductor_actors.domain.anomalies.drops import Drops, has_recovered
from conductor_actors.domain.anomalies.exits import Exits
from conductor_actors.domain.anomalies.finding import Finding
from conductor_actors.domain.anomalies.low_engagement import LowEngagement
from conductor_actors.domain.anomalies.observation import Observation
from conductor_actors.domain.anomalies.parameters import Parameters

ID_NAMESPACE: Final = UUID("5b8f6a34-7a0e-5c41-9d52-0f3f2f1c6e77")  # of the ids of anomalies


class Identified(Protocol):
    """Names a session."""

    @property
    def tenant_id(self) -> str:
        """Its tenant."""

    @property
    def session_id(self) -> str:
        """Its id."""


class OpenAnomaly(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An anomaly that has begun and not ended."""

    id: str
    type: AnomalyType
    began_ms: int
    reason: str = ""


class Detector(msgspec.Struct, array_like=True, gc=False):
    """What is known of a session at its last judged tick. One anomaly at a time is open."""

    at_ms: int
    first_ms: int
    votes: int = 0  # from the session's begin on
    is_audience_known: bool = True
    peak_people: int = 0
    silent_until_ms: int = 0
    baseline: Baseline = msgspec.field(default_factory=Baseline)
    drops: Drops = msgspec.field(default_factory=Drops)
    exits: Exits = msgspec.field(default_factory=Exits)
    low: LowEngagement = msgspec.field(default_factory=LowEngagement)
    anomaly: OpenAnomaly | None = None
    is_resting: bool = False
    is_awaiting_score: bool = False  # rests but for the mean of the score

    def judge(
        self, key: Identified, seen: Observation, tick_ms: int, parameters: Parameters
    ) -> tuple[AnomalyChange, ...]:
        """Judge a tick, each once and in order; return what begins or ends at it.

        `key` is the session's key, or a row of it: of these, few need a key.
        """
        has_missed = seen.at_ms - self.at_ms > tick_ms
        self.is_resting = self.is_awaiting_score = False
        votes, self.votes, self.at_ms = seen.votes - self.votes, seen.votes, seen.at_ms
        self.exits.count(seen.at_ms, seen.departures, seen.returns)
        self.peak_people = max(self.peak_people, seen.people)
        if has_missed or seen.is_quiet:
            self.silent_until_ms = seen.at_ms + parameters.hold_s * 1000
        if has_missed or seen.is_quiet or seen.has_gap:
            self._skip()
            finding = None
        else:
            self._compare(seen, votes, parameters)
            self.low.update(seen.at_ms, seen.score, tick_ms, parameters)
            if not seen.is_chat_open:
                self.low.since_ms = 0  # the score is low by arrangement
            finding = self._find(seen, parameters)
        if self.anomaly is not None:
            return self._end(self.anomaly) if self._is_over(self.anomaly, seen, parameters) else ()
        if finding is not None:
            return self._begin(key, seen.score, finding)
        is_arriving = seen.at_ms - self.first_ms < parameters.arrival_s * 1000
        if is_arriving or seen.at_ms < self.silent_until_ms:
            self.baseline.forget_bins()
        suspect_ms = self.drops.suspect_ms(seen.at_ms, parameters)
        self.baseline.learn(seen.at_ms - parameters.delay_s * 1000, suspect_ms, parameters)
        return ()

    def rest(self, people: int, parameters: Parameters) -> None:
        """Rest if nothing can begin or end before there are events again, or for a low score."""
        if self.exits.ticks:
            return
        is_awaiting_low = (
            people >= parameters.low_min_people
            and self.low.is_armed
            and "LOW_ENGAGEMENT" not in parameters.types_off
        )
        if self.anomaly is None and not is_awaiting_low:
            self.is_resting = True
            self._skip()
        elif (
            self.anomaly is None or self.anomaly.type == "LOW_ENGAGEMENT"
        ) and self.baseline.learnt < parameters.min_bins:  # so there is no other evidence
            self.is_awaiting_score = True
            self.baseline.forget_bins()

    def add_score(
        self, at_ms: int, score: float, tick_ms: int, parameters: Parameters, *, is_chat_open: bool
    ) -> bool:
        """Add the score of a tick without events, if that is all that can matter of it.

        Return False if it must be judged. Of the people who arrive, nothing else is learnt, either.
        """
        low, anomaly = self.low, self.anomaly
        age_ms = at_ms - self.first_ms
        if at_ms - self.at_ms > tick_ms:
            return False
        if anomaly is not None:
            open_ms = at_ms - anomaly.began_ms
            can_end = score > low.mean or open_ms >= parameters.max_incident_s * 1000
            if can_end or not self.is_awaiting_score:
                return False
        elif self.is_awaiting_score:
            if low.is_due(at_ms, age_ms, parameters):
                return False
        elif age_ms >= parameters.arrival_s * 1000 or self.exits.ticks or self.exits.mass_since_ms:
            return False
        low.update(at_ms, score, tick_ms, parameters)
        if not is_chat_open:
            low.since_ms = 0
        self.at_ms = at_ms
        return True

    def is_only_learning(self, at_ms: int, tick_ms: int, parameters: Parameters) -> bool:
        """Check whether a tick without events can only teach: there is no baseline yet."""
        return (
            self.baseline.learnt + 1 < parameters.min_bins
            and self.anomaly is None
            and at_ms - self.at_ms <= tick_ms
            and at_ms >= self.silent_until_ms
            and not self.exits.ticks
            and not self.exits.mass_since_ms
            and not self.low.is_due(at_ms, at_ms - self.first_ms, parameters)
        )

    def add_silence(
        self, silence: Bin, score: float, parameters: Parameters, *, is_chat_open: bool
    ) -> None:
        """Learn from a tick without events."""
        self.at_ms = silence.end_ms
        self.low.update(silence.end_ms, score, silence.seconds * 1000, parameters)
        if not is_chat_open:
            self.low.since_ms = 0
        self.baseline.add(silence)
        self.baseline.learn(silence.end_ms - parameters.delay_s * 1000, None, parameters)

    def expected_score(self, parameters: Parameters) -> ExpectedScore | None:
        """Return the range of scores that is usual; None before there is a baseline."""
        return self.baseline.expected_score(parameters)

    def successor(self) -> "Detector | None":
        """Return one that knows the open anomaly alone, so that it ends; None without one."""
        if self.anomaly is None:
            return None
        successor = Detector(self.at_ms, self.at_ms, self.votes, self.is_audience_known)
        successor.exits.departures = self.exits.departures
        successor.exits.returns = self.exits.returns
        successor.anomaly = self.anomaly
        return successor

    def copy(self) -> "Detector":
        """Return an independent copy."""
        return _decode(_encode(self))

    def _skip(self) -> None:
        """Pass over a tick whose counts say nothing."""
        self.drops.clear()
        self.low.since_ms = 0
        self.baseline.forget_bins()

    def _compare(self, seen: Observation, votes: int, parameters: Parameters) -> None:
        """Compare the counts with the baseline, and keep them to learn from them later."""
        if seen.is_audience_known != self.is_audience_known:  # rates were of another denominator
            self.is_audience_known = seen.is_audience_known
            self.baseline = Baseline()
        audience = self.baseline.audience(seen.connected)
        have_left = audience < parameters.min_audience_share * self.peak_people
        if have_left or self.anomaly is not None or seen.at_ms < self.silent_until_ms:
            self.drops.clear()
        else:
            self.drops.weigh(seen, votes, self.baseline, parameters)
        chats, reactions = sum(seen.chats), sum(seen.reactions)
        self.baseline.add(
            Bin(
                seen.at_ms,
                len(seen.chats),
                chats,
                reactions,
                seen.people,
                seen.guests,
                seen.active,
                int(seen.score * 1000.0),
            )
        )
        if chats or reactions:
            self.exits.watch_applause(seen.at_ms, self.baseline, parameters)

    def _find(self, seen: Observation, parameters: Parameters) -> Finding | None:
        """Return what is wrong at this tick, the gravest first."""
        if self.anomaly is not None:
            return None
        age_ms = seen.at_ms - self.first_ms
        found = self.exits.find(seen.at_ms, seen.people, self.peak_people, parameters)
        if (
            age_ms < parameters.min_age_s * 1000
            or seen.at_ms < self.silent_until_ms
            or seen.is_last
        ):
            return None
        return (
            found
            or self._find_drop(seen, parameters)
            or self.low.find(seen.at_ms, seen.people, age_ms, parameters)
        )

    def _find_drop(self, seen: Observation, parameters: Parameters) -> Finding | None:
        """Return a drop or a decline, unless it is the end: people have applauded, and leave."""
        if self.exits.has_applause(seen.at_ms, parameters) and self.exits.is_leaving(
            seen.at_ms, seen.people, parameters
        ):
            return None
        return self.drops.find(seen, self.baseline, parameters)

    def _begin(self, key: Identified, score: float, finding: Finding) -> tuple[AnomalyChange, ...]:
        name = f"{key.tenant_id}/{key.session_id}/{finding.type}/{self.at_ms}"
        anomaly_id = str(uuid5(ID_NAMESPACE, name))
        self.anomaly = OpenAnomaly(anomaly_id, finding.type, self.at_ms, finding.reason)
        self.exits.calm_since_ms = self.at_ms
        self.drops.clear()
        if finding.type in {"SUDDEN_DROP", "GRADUAL_DECLINE"}:
            self.low.is_armed = False  # a low score is no further news
        self.baseline.forget_bins()
        usual = self.baseline.score
        return (
            AnomalyBegan(
                self.anomaly.id,
                finding.type,
                finding.severity,
                finding.degree,
                usual,
                score - usual,
                finding.onset_ms,
                finding.reason,
            ),
        )

    def _is_over(self, anomaly: OpenAnomaly, seen: Observation, parameters: Parameters) -> bool:
        """Check whether the open anomaly ends at this tick."""
        if seen.is_quiet or seen.is_last:
            return True
        if seen.at_ms - anomaly.began_ms >= parameters.max_incident_s * 1000:
            self.baseline = Baseline()  # what was usual is not usual any more
            return True
        if anomaly.type == "MASS_EXIT":
            return self.exits.is_over(seen.at_ms, seen.people, parameters)
        if anomaly.type == "LOW_ENGAGEMENT":
            return self.low.mean >= parameters.low_rearmed_score
        return has_recovered(seen, anomaly.began_ms, self.baseline, parameters)

    def _end(self, anomaly: OpenAnomaly) -> tuple[AnomalyChange, ...]:
        self.anomaly = None
        self.baseline.forget_bins()
        return (AnomalyEnded(anomaly.id, anomaly.type, anomaly.began_ms),)


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Detector).decode
