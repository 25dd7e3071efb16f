"""What a detector knows, as a checkpoint stores it. Fields that are added later have defaults.

It is read into these classes, and written from plain tuples, which take a third of the steps. Apart
from the classes of the detector, which are compiled.
"""

from typing import NamedTuple, TypeAlias

from conductor_actors.domain.anomalies.changes import AnomalyType

Packed: TypeAlias = tuple[object, ...]  # the fields of one of these, in order


class PackedStream(NamedTuple):
    """The usual events of one kind."""

    fast: float = 0.0
    slow: float = 0.0
    spread: float = 0.0
    last: float = 0.0


class PackedBin(NamedTuple):
    """The counts of some seconds."""

    end_ms: int
    seconds: int
    chats: int
    reactions: int
    people: int
    guests: int
    active: int
    score: int


class PackedBaseline(NamedTuple):
    """The usual rates and scores of a session."""

    chat: PackedStream = PackedStream()
    reaction: PackedStream = PackedStream()
    learnt: int = 0
    active: float = 0.0
    score: float = 0.0
    score_variance: float = 0.0
    fast_people: float = 0.0
    slow_people: float = 0.0
    guests: float = 0.0
    bins: tuple[PackedBin, ...] = ()
    chats: int = 0
    reactions: int = 0
    seconds: int = 0


class PackedEvidence(NamedTuple):
    """The evidence for a drop."""

    level: float = 0.0
    onset_ms: int = 0
    seen: int = 0
    expected: float = 0.0


class PackedDrops(NamedTuple):
    """The evidence for a sudden drop, and for a gradual decline."""

    sudden: PackedEvidence = PackedEvidence()
    gradual: PackedEvidence = PackedEvidence()


class PackedExits(NamedTuple):
    """The departures and returns of the last minute."""

    ticks: tuple[tuple[int, int, int], ...] = ()
    departures: int = 0
    returns: int = 0
    mass_since_ms: int = 0
    calm_since_ms: int = 0
    applause_ms: int = 0


class PackedLowEngagement(NamedTuple):
    """The mean score of a minute."""

    mean: float = 0.0
    since_ms: int = 0
    ticks: int = 0
    is_armed: bool = True


class PackedAnomaly(NamedTuple):
    """An anomaly that is open."""

    id: str
    type: AnomalyType
    began_ms: int
    reason: str = ""


class PackedDetector(NamedTuple):
    """All of it."""

    at_ms: int
    first_ms: int
    votes: int = 0
    is_audience_known: bool = True
    peak_people: int = 0
    silent_until_ms: int = 0
    baseline: PackedBaseline = PackedBaseline()
    drops: PackedDrops = PackedDrops()
    exits: PackedExits = PackedExits()
    low: PackedLowEngagement = PackedLowEngagement()
    anomaly: PackedAnomaly | None = None
    is_resting: bool = False
    is_awaiting_score: bool = False
