"""What a session of the corpus consists of: its entries, and what truly happened in it."""

from typing import Final, NamedTuple

from conductor_actors.domain.anomalies.changes import AnomalyType
from conductor_actors.domain.entries import Entry

MAX_TOTAL_SHARE: Final = 0.05  # of its activity that a session keeps in a total stop


class Incident(NamedTuple):
    """Something that a detector should report. `kept` is the share of activity, or people, left.

    `rate_per_min` counts the messages, reactions and votes of the five minutes before the onset.
    """

    type: AnomalyType
    onset_ms: int
    end_ms: int
    kept: float
    rate_per_min: float = 0.0

    @property
    def is_total(self) -> bool:
        return self.kept <= MAX_TOTAL_SHARE


class Happening(NamedTuple):
    """Something that a detector should not report, such as a lull, to explain false alarms."""

    name: str
    begin_ms: int
    end_ms: int


class LabelledSession(NamedTuple):
    """One session. `activity_ms` are the times of its messages, reactions and votes, once each."""

    name: str
    format: str
    people: int
    entries: list[Entry]
    activity_ms: list[int]
    incidents: tuple[Incident, ...]
    happenings: tuple[Happening, ...]

    @property
    def begin_ms(self) -> int:
        return self.entries[0][0]

    @property
    def end_ms(self) -> int:
        return self.entries[-1][0]
