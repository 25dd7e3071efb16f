"""The detector of a session: it watches every tick, and reports what begins and what ends.

A session is compared with its own past. Everything here is determined by its inputs: sums,
products, quotients, square roots and logarithms in one order. What most sessions never need is
made when it is needed. Source of the types: the contract, section 2.
"""

from typing import Final, Protocol
from uuid import UUID, uuid5

from msgspec import convert

from conductor_actors.domain.anomalies.baseline import Baseline, unpack_baseline
from conductor_actors.domain.anomalies.bin import Bin
from conductor_actors.domain.anomalies.changes import (
    AnomalyBegan,
    AnomalyChange,
    AnomalyEnded,
    AnomalyType,
    ExpectedScore,
)
from conductor_actors.domain.anomalies.drops import Drops, has_recovered, unpack_drops
from conductor_actors.domain.anomalies.exits import Exits, is_applause, unpack_exits
from conductor_actors.domain.anomalies.finding import Finding
from conductor_actors.domain.anomalies.low_engagement import LowEngagement
from conductor_actors.domain.anomalies.observation import Observation
from conductor_actors.domain.anomalies.packed_detector import (
    Packed,
    PackedBaseline,
    PackedDetector,
    PackedDrops,
    PackedExits,
)
from conductor_actors.domain.anomalies.parameters import (
    ARRIVAL_MS,
    HOLD_MS,
    LEARNING_DELAY_MS,
    LOW_MIN_PEOPLE,
    LOW_REARMED_SCORE,
    MAX_INCIDENT_MS,
    MIN_AGE_MS,
    MIN_AUDIENCE_SHARE,
    MIN_BINS,
    Parameters,
)
from conductor_actors.domain.windows import NEVER_MS

ID_NAMESPACE: Final = UUID("5b8f6a34-7a0e-5c41-9d52-0f3f2f1c6e77")  # of the ids of anomalies
NO_BASELINE: Final = PackedBaseline()
NO_DROPS: Final = PackedDrops()
NO_EXITS: Final = PackedExits()


class Identified(Protocol):
    """Names a session."""

    @property
    def tenant_id(self) -> str:
        """Its tenant."""

    @property
    def session_id(self) -> str:
        """Its id."""


class OpenAnomaly:
    """An anomaly that has begun and not ended."""

    __slots__ = ("began_ms", "id", "reason", "type")

    def __init__(self, id_: str, type_: AnomalyType, began_ms: int, reason: str = "") -> None:
        self.id = id_
        self.type = type_
        self.began_ms = began_ms
        self.reason = reason

    def pack(self) -> Packed:
        """Return it as a checkpoint stores it."""
        return (self.id, self.type, self.began_ms, self.reason)


class Detector:
    """What is known of a session at its last judged tick. One anomaly at a time is open."""

    __slots__ = (
        "anomaly",
        "at_ms",
        "baseline",
        "drops",
        "exits",
        "first_ms",
        "is_audience_known",
        "is_awaiting_score",
        "is_resting",
        "low",
        "peak_people",
        "silent_until_ms",
        "votes",
    )

    def __init__(
        self, at_ms: int, first_ms: int, votes: int = 0, is_audience_known: bool = True
    ) -> None:
        self.at_ms = at_ms
        self.first_ms = first_ms
        self.votes = votes  # from the session's begin on
        self.is_audience_known = is_audience_known
        self.peak_people = 0
        self.silent_until_ms = 0
        self.baseline: Baseline | None = None
        self.drops: Drops | None = None
        self.exits: Exits | None = None
        self.low = LowEngagement()
        self.anomaly: OpenAnomaly | None = None
        self.is_resting = False
        self.is_awaiting_score = False  # rests but for the mean of the score

    def judge(
        self, key: Identified, seen: Observation, tick_ms: int, parameters: Parameters
    ) -> tuple[AnomalyChange, ...]:
        """Judge a tick, each once and in order; return what begins or ends at it.

        `key` is the session's key, or a row of it: of these, few need a key.
        """
        at_ms, finding = seen.at_ms, None
        has_missed = at_ms - self.at_ms > tick_ms
        self.is_resting = self.is_awaiting_score = False
        votes, self.votes, self.at_ms = seen.votes - self.votes, seen.votes, at_ms
        self._count_exits(seen)
        if seen.people > self.peak_people:
            self.peak_people = seen.people
        if has_missed or seen.is_quiet:
            self.silent_until_ms = at_ms + HOLD_MS
        if has_missed or seen.is_quiet or seen.has_gap:
            self._skip()
        else:
            self._compare(seen, votes)
            self.low.update(at_ms, seen.score, tick_ms)
            if not seen.is_chat_open:
                self.low.since_ms = 0  # the score is low by arrangement
            if self.anomaly is None:
                finding = self._find(seen, parameters)
        if self.anomaly is not None:
            return self._end(self.anomaly) if self._is_over(self.anomaly, seen) else ()
        if finding is not None:
            return self._begin(key, seen.score, finding)
        if self.baseline is not None:
            self._learn(at_ms, self.baseline, parameters)
        return ()

    def rest(self, people: int, parameters: Parameters) -> None:
        """Rest if nothing can begin or end before there are events again, or for a low score."""
        if self.exits is not None and self.exits.ticks:
            return
        is_awaiting_low = (
            people >= LOW_MIN_PEOPLE
            and self.low.is_armed
            and "LOW_ENGAGEMENT" not in parameters.types_off
        )
        if self.anomaly is None and not is_awaiting_low:
            self.is_resting = True
            self._skip()
        elif (self.anomaly is None or self.anomaly.type == "LOW_ENGAGEMENT") and (
            self.baseline is None or self.baseline.learnt < MIN_BINS
        ):  # so there is no other evidence
            self.is_awaiting_score = True
            self._forget_bins()

    def add_score(self, at_ms: int, score: float, tick_ms: int) -> bool:
        """Add the score of a tick without events, if that is all that can matter of it.

        Return False if it must be judged. Of the people who arrive, nothing else is learnt, either.
        """
        low, anomaly, exits = self.low, self.anomaly, self.exits
        age_ms = at_ms - self.first_ms
        if at_ms - self.at_ms > tick_ms:
            return False
        if anomaly is not None:
            can_end = score > low.mean or at_ms - anomaly.began_ms >= MAX_INCIDENT_MS
            if can_end or not self.is_awaiting_score:
                return False
        elif self.is_awaiting_score:
            if low.is_due(at_ms, age_ms):
                return False
        elif age_ms >= ARRIVAL_MS or (exits is not None and (exits.ticks or exits.mass_since_ms)):
            return False
        low.update(at_ms, score, tick_ms)
        self.at_ms = at_ms
        return True

    def is_only_learning(self, at_ms: int, tick_ms: int) -> bool:
        """Check whether a tick without events can only teach: there is no baseline yet."""
        baseline, exits, age_ms = self.baseline, self.exits, at_ms - self.first_ms
        return (
            (baseline is None or baseline.learnt + 1 < MIN_BINS)
            and age_ms >= ARRIVAL_MS
            and not self.is_awaiting_score
            and self.anomaly is None
            and at_ms - self.at_ms <= tick_ms
            and at_ms >= self.silent_until_ms
            and (exits is None or not (exits.ticks or exits.mass_since_ms))
            and not (self.low.since_ms and self.low.is_due(at_ms, age_ms))
        )

    def add_silence(self, silence: Bin, score: float) -> None:
        """Learn from a tick without events."""
        self.at_ms = at_ms = silence.end_ms
        self.low.update(at_ms, score, silence.seconds * 1000)
        if self.baseline is None:
            self.baseline = Baseline()
        self.baseline.add(silence)
        self.baseline.learn(at_ms - LEARNING_DELAY_MS, NEVER_MS)

    def expected_score(self) -> ExpectedScore | None:
        """Return the range of scores that is usual; None before there is a baseline."""
        return None if self.baseline is None else self.baseline.expected_score()

    def successor(self) -> "Detector | None":
        """Return one that knows the open anomaly alone, so that it ends; None without one."""
        if self.anomaly is None:
            return None
        successor = Detector(self.at_ms, self.at_ms, self.votes, self.is_audience_known)
        if self.exits is not None:
            successor.exits = Exits(self.exits.departures, self.exits.returns)
        successor.anomaly = self.anomaly
        return successor

    def copy(self) -> "Detector":
        """Return an independent copy."""
        return unpack_detector(convert(self.pack(), PackedDetector))

    def pack(self) -> Packed:
        """Return it as a checkpoint stores it."""
        anomaly = self.anomaly
        return (
            self.at_ms,
            self.first_ms,
            self.votes,
            self.is_audience_known,
            self.peak_people,
            self.silent_until_ms,
            NO_BASELINE if self.baseline is None else self.baseline.pack(),
            NO_DROPS if self.drops is None else self.drops.pack(),
            NO_EXITS if self.exits is None else self.exits.pack(),
            self.low.pack(),
            None if anomaly is None else anomaly.pack(),
            self.is_resting,
            self.is_awaiting_score,
        )

    def _count_exits(self, seen: Observation) -> None:
        if self.exits is None:
            if not seen.departures:
                return
            self.exits = Exits()
        self.exits.count(seen.at_ms, seen.departures, seen.returns)

    def _skip(self) -> None:
        """Pass over a tick whose counts say nothing."""
        self.drops = None
        self.low.since_ms = 0
        self._forget_bins()

    def _forget_bins(self) -> None:
        if self.baseline is not None and self.baseline.learnt:
            self.baseline.forget_bins()
        else:
            self.baseline = None

    def _compare(self, seen: Observation, votes: int) -> None:
        """Compare the counts with the baseline, and keep them to learn from them later."""
        if seen.is_audience_known != self.is_audience_known:  # rates were of another denominator
            self.is_audience_known = seen.is_audience_known
            self.baseline = None
        if self.baseline is None:
            self.baseline = Baseline()
        at_ms, baseline = seen.at_ms, self.baseline
        audience = seen.people - seen.guests + baseline.guests
        if (
            baseline.can_compare()
            and audience >= MIN_AUDIENCE_SHARE * self.peak_people
            and self.anomaly is None
            and at_ms >= self.silent_until_ms
        ):
            if self.drops is None:
                self.drops = Drops()
            self.drops.weigh(seen, votes, baseline)
        elif self.drops is not None:
            self.drops.clear()
        counts = seen.counts()
        baseline.add(counts)
        if (counts.chats or counts.reactions) and is_applause(at_ms, baseline):
            if self.exits is None:
                self.exits = Exits()
            self.exits.applause_ms = at_ms

    def _learn(self, at_ms: int, baseline: Baseline, parameters: Parameters) -> None:
        if at_ms - self.first_ms < ARRIVAL_MS or at_ms < self.silent_until_ms:
            baseline.forget_bins()
            return
        suspect_ms = NEVER_MS
        if self.drops is not None:
            suspect_ms = self.drops.suspect_ms(at_ms, parameters)
        baseline.learn(at_ms - LEARNING_DELAY_MS, suspect_ms)

    def _find(self, seen: Observation, parameters: Parameters) -> Finding | None:
        """Return what is wrong at this tick, the gravest first."""
        at_ms, people, found = seen.at_ms, seen.people, None
        age_ms = at_ms - self.first_ms
        if self.exits is not None:
            found = self.exits.find(at_ms, people, self.peak_people, parameters)
        if age_ms < MIN_AGE_MS or at_ms < self.silent_until_ms or seen.is_last:
            return None
        return (
            found
            or self._find_drop(seen, parameters)
            or self.low.find(at_ms, people, age_ms, parameters)
        )

    def _find_drop(self, seen: Observation, parameters: Parameters) -> Finding | None:
        """Return a drop or a decline, unless it is the end: people have applauded, and leave."""
        if self.drops is None or self.baseline is None:
            return None
        found, exits = self.drops.find(seen, self.baseline, parameters), self.exits
        if found is None or exits is None or not exits.has_applause(seen.at_ms):
            return found
        return None if exits.is_leaving(seen.at_ms, seen.people) else found

    def _begin(self, key: Identified, score: float, finding: Finding) -> tuple[AnomalyChange, ...]:
        name = f"{key.tenant_id}/{key.session_id}/{finding.type}/{self.at_ms}"
        anomaly_id = str(uuid5(ID_NAMESPACE, name))
        self.anomaly = OpenAnomaly(anomaly_id, finding.type, self.at_ms, finding.reason)
        if self.exits is not None:
            self.exits.calm_since_ms = self.at_ms
        self.drops = None
        if finding.type in {"SUDDEN_DROP", "GRADUAL_DECLINE"}:
            self.low.is_armed = False  # a low score is no further news
        usual = 0.0 if self.baseline is None else self.baseline.score
        self._forget_bins()
        return (
            AnomalyBegan(
                anomaly_id,
                finding.type,
                finding.severity,
                finding.degree,
                usual,
                score - usual,
                finding.onset_ms,
                finding.reason,
            ),
        )

    def _is_over(self, anomaly: OpenAnomaly, seen: Observation) -> bool:
        """Check whether the open anomaly ends at this tick."""
        if seen.is_quiet or seen.is_last:
            return True
        if seen.at_ms - anomaly.began_ms >= MAX_INCIDENT_MS:
            self.baseline = None  # what was usual is not usual any more
            return True
        if anomaly.type == "MASS_EXIT":
            return self.exits is None or self.exits.is_over(seen.at_ms, seen.people)
        if anomaly.type == "LOW_ENGAGEMENT":
            return self.low.mean >= LOW_REARMED_SCORE
        return self.baseline is not None and has_recovered(seen, anomaly.began_ms, self.baseline)

    def _end(self, anomaly: OpenAnomaly) -> tuple[AnomalyChange, ...]:
        self.anomaly = None
        self._forget_bins()
        return (AnomalyEnded(anomaly.id, anomaly.type, anomaly.began_ms),)


def unpack_detector(packed: PackedDetector) -> Detector:
    """Return the detector that was stored."""
    detector = Detector(packed.at_ms, packed.first_ms, packed.votes, packed.is_audience_known)
    detector.peak_people = packed.peak_people
    detector.silent_until_ms = packed.silent_until_ms
    if packed.baseline != NO_BASELINE:
        detector.baseline = unpack_baseline(packed.baseline)
    if packed.drops != NO_DROPS:
        detector.drops = unpack_drops(packed.drops)
    if packed.exits != NO_EXITS:
        detector.exits = unpack_exits(packed.exits)
    detector.low = LowEngagement(*packed.low)
    detector.anomaly = None if packed.anomaly is None else OpenAnomaly(*packed.anomaly)
    detector.is_resting = packed.is_resting
    detector.is_awaiting_score = packed.is_awaiting_score
    return detector
