"""Compare the alarms of a detector with what truly happened."""

from collections.abc import Iterable, Sequence
from math import exp, lgamma, log
from typing import Final, NamedTuple

from conductor_actors.domain.anomalies.changes import AnomalyType
from tests.detector.corpus.labels import Happening, Incident, LabelledSession

WITHIN_S: Final = (10, 15, 30, 60, 120)
AFTER_MS: Final = 60_000  # an alarm so long after an incident still belongs to it
ASIDE_MS: Final = 90_000  # a false alarm so long after a happening is explained by it
MS_PER_HOUR: Final = 3_600_000
# A decline that ends in silence may also be reported as a drop, and a partial drop as a decline.
DROPS: Final[tuple[AnomalyType, ...]] = ("SUDDEN_DROP", "GRADUAL_DECLINE")


class Alarm(NamedTuple):
    """A detector reports something from one tick to another. A detector may know no types."""

    at_ms: int
    type: AnomalyType | None


class Outcome(NamedTuple):
    """What became of an incident. `delay_s` is from its onset; None if it was not found."""

    incident: Incident
    delay_s: float | None
    alarms: int

    @property
    def is_mistyped(self) -> bool:
        return self.delay_s is None and self.alarms > 0


class FalseAlarm(NamedTuple):
    """An alarm where nothing was wrong, and what may have caused it."""

    session: str
    at_ms: int
    type: AnomalyType | None
    causes: tuple[str, ...]
    is_clean: bool  # in a session without any incident


class Verdict(NamedTuple):
    """How a detector did in some sessions."""

    outcomes: tuple[Outcome, ...] = ()
    false_alarms: tuple[FalseAlarm, ...] = ()
    clean_ms: int = 0  # of sessions without incidents
    other_ms: int = 0  # outside the incidents of all other sessions
    ticks: int = 0
    spent_s: float = 0.0

    def __add__(self, other: tuple[object, ...]) -> "Verdict":
        return Verdict(*(one + more for one, more in zip(self, other, strict=True)))  # type: ignore[operator]

    @property
    def clean_hours(self) -> float:
        return self.clean_ms / MS_PER_HOUR

    @property
    def clean_false_alarms(self) -> int:
        return sum(alarm.is_clean for alarm in self.false_alarms)

    @property
    def us_per_tick(self) -> float:
        return self.spent_s * 1e6 / self.ticks if self.ticks else 0.0

    def duplicates(self) -> float:
        """Return how many alarms an incident had besides the first one."""
        found = [outcome.alarms for outcome in self.outcomes if outcome.alarms]
        return (sum(found) - len(found)) / max(1, len(self.outcomes))


def judge(session: LabelledSession, alarms: Sequence[Alarm]) -> Verdict:
    """Return how a detector did that reported these alarms."""
    outcomes = tuple(_outcome(incident, alarms) for incident in session.incidents)
    false_alarms = tuple(
        _false_alarm(session, alarm)
        for alarm in alarms
        if not any(_is_within(incident, alarm) for incident in session.incidents)
    )
    length_ms = session.end_ms - session.begin_ms
    if not session.incidents:
        return Verdict(outcomes, false_alarms, clean_ms=length_ms)
    spent_ms = sum(each.end_ms + AFTER_MS - each.onset_ms for each in session.incidents)
    return Verdict(outcomes, false_alarms, other_ms=max(0, length_ms - spent_ms))


def recall(outcomes: Iterable[Outcome], within_s: float) -> float | None:
    """Return the share of incidents that were found in time; None if there were none."""
    delays = [outcome.delay_s for outcome in outcomes]
    found = sum(delay is not None and delay <= within_s for delay in delays)
    return found / len(delays) if delays else None


def interval(count: int, hours: float) -> tuple[float, float]:
    """Return the 95 % interval of a count per 10 hours, which is Poisson (Garwood, 1936)."""
    if not hours:
        return 0.0, 0.0
    low = _mean_with(count - 1, 0.975) if count else 0.0
    return low * 10 / hours, _mean_with(count, 0.025) * 10 / hours


def _outcome(incident: Incident, alarms: Sequence[Alarm]) -> Outcome:
    inside = [alarm for alarm in alarms if _is_within(incident, alarm)]
    right = [alarm.at_ms for alarm in inside if _is_right(incident, alarm.type)]
    delay_s = (min(right) - incident.onset_ms) / 1000 if right else None
    return Outcome(incident, delay_s, len(inside))


def _is_right(incident: Incident, found: AnomalyType | None) -> bool:
    if found is None or found == incident.type:
        return True
    is_either = incident.type in DROPS and not (
        incident.type == "SUDDEN_DROP" and incident.is_total
    )
    return is_either and found in DROPS


def _is_within(incident: Incident, alarm: Alarm) -> bool:
    return incident.onset_ms < alarm.at_ms <= incident.end_ms + AFTER_MS


def _false_alarm(session: LabelledSession, alarm: Alarm) -> FalseAlarm:
    causes = {each.name for each in session.happenings if _is_near(each, alarm)}
    if any(0 < alarm.at_ms - each.end_ms < 900_000 for each in session.incidents):
        causes.add("incident")
    return FalseAlarm(
        session.name, alarm.at_ms, alarm.type, tuple(sorted(causes)), not session.incidents
    )


def _is_near(happening: Happening, alarm: Alarm) -> bool:
    return happening.begin_ms < alarm.at_ms <= happening.end_ms + ASIDE_MS


def _mean_with(count: int, probability: float) -> float:
    """Return the mean of the Poisson distribution in which so few, or fewer, have this chance."""
    low, high = 0.0, 10.0 + 3 * count
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(count, middle) > probability:
            low = middle
        else:
            high = middle
    return low


def _at_most(count: int, mean: float) -> float:
    return sum(exp(each * log(mean) - mean - lgamma(each + 1)) for each in range(count + 1))
