"""The figures of a report, added up from what its query returns of each slice of time."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import nlargest
from typing import Final, NamedTuple

from conductor_actors.adapters.postgres.query_pool import Records
from conductor_actors.domain.charts.largest_changes import ScoreChange, largest_changes
from conductor_actors.domain.scoring import Contributions
from conductor_actors.instants import to_ms
from conductor_actors.ports.history_port import ScoreChanges

MAX_REPORTED_POLLS: Final = 1000  # the highest

_NO_PEAK: Final = (-1.0, 0.0)


class CurveStep(NamedTuple):
    """The ticks of a step: their number, the sum and the bounds of their scores, the most users."""

    ticks: int
    score: float
    min_score: float
    max_score: float
    users: int

    @property
    def mean_score(self) -> float:
        """The mean of the ticks."""
        return self.score / self.ticks

    def joined(self, other: "CurveStep") -> "CurveStep":
        """Return the step with the ticks of both, which are in different slices."""
        return CurveStep(
            self.ticks + other.ticks,
            self.score + other.score,
            min(self.min_score, other.min_score),
            max(self.max_score, other.max_score),
            max(self.users, other.users),
        )


class PollRun(NamedTuple):
    """Successive ticks at which a session had participation, and when it was highest."""

    session_id: str
    first_ms: int
    last_ms: int
    participation: float
    at_ms: int


@dataclass
class SessionSums:
    """The sums of a session's ticks and of its windows one window apart, and its peaks."""

    ticks: int = 0
    score: float = 0.0
    users: int = 0
    chat_per_min: float = 0.0
    reactions_per_min: float = 0.0
    added: tuple[float, ...] = (0.0,) * 5
    peak: tuple[float, float] = _NO_PEAK

    def add(self, numbers: Sequence[float]) -> None:
        """Add the sums of a slice."""
        ticks, score, users, chat, reactions, *added, peak, minus_at_s = numbers
        self.ticks += int(ticks)
        self.score += score
        self.users = max(self.users, int(users))
        self.chat_per_min += chat or 0.0  # null, if the slice has none of these windows
        self.reactions_per_min += reactions or 0.0
        self.added = tuple(map(sum, zip(self.added, added, strict=True)))
        self.peak = max(self.peak, (peak, minus_at_s))

    @property
    def mean_score(self) -> float:
        """The mean of all ticks."""
        return self.score / self.ticks

    def contributions(self) -> Contributions:
        """Return what each signal added to the score on average."""
        return Contributions(*(each / self.ticks for each in self.added))


@dataclass
class ReportFigures:
    """The figures of sessions, and of all of them together, whose score is that of the event."""

    session_ids: Sequence[str]
    sessions: dict[str, SessionSums] = field(default_factory=dict)
    categories: Counter[str] = field(default_factory=Counter)
    curve: dict[int, CurveStep] = field(default_factory=dict)  # by their times
    users: int = 0
    _peak: tuple[float, float] = _NO_PEAK
    _runs: list[PollRun] = field(default_factory=list)
    _changes: list[ScoreChange] = field(default_factory=list)

    def add(self, records: Records) -> None:
        """Add the figures of a slice."""
        for part, number, text, at, numbers in records:
            match part:
                case "session":
                    self.sessions.setdefault(self._id(number), SessionSums()).add(numbers)
                case "category":
                    self.categories[text] += int(*numbers)
                case "peak":
                    self._add_peak(*numbers)
                case "step":
                    self._add_step(to_ms(at), numbers)
                case "poll":
                    self._add_run(self._id(number), to_ms(at), *numbers)
                case "change":
                    self._changes.append(ScoreChange(self._id(number), to_ms(at), *numbers))

    @property
    def ticks(self) -> int:
        """The ticks of all sessions."""
        return sum(each.ticks for each in self.sessions.values())

    @property
    def mean_score(self) -> float:
        """The mean of all ticks."""
        steps = self.curve.values()
        return sum(each.score for each in steps) / sum(each.ticks for each in steps)

    @property
    def peak(self) -> tuple[float, int]:
        """The highest score, and the first tick that has it."""
        return peak_of(self._peak)

    def polls(self, tick_s: int) -> list[PollRun]:
        """Return the runs of ticks with participation, by their peaks."""
        found: list[PollRun] = []
        for run in sorted(self._runs):
            if found and _is_continued(found[-1], run, tick_s):
                found[-1] = _joined(found[-1], run)
            else:
                found.append(run)
        highest = nlargest(MAX_REPORTED_POLLS, found, key=lambda run: run.participation)
        return sorted(highest, key=lambda run: (run.at_ms, run.session_id))

    def moments(self) -> ScoreChanges:
        """Return the largest changes within a minute."""
        rises = (one for one in self._changes if one.change > 0)
        falls = (one for one in self._changes if one.change < 0)
        return ScoreChanges(largest_changes(rises), largest_changes(falls))

    def contributions(self) -> Contributions:
        """Return what each signal added to the scores of all sessions, on average."""
        sums = zip(*(each.added for each in self.sessions.values()), strict=True)
        return Contributions(*(sum(each) / self.ticks for each in sums))

    def _id(self, number: int) -> str:
        return self.session_ids[number - 1]

    def _add_peak(self, users: float, score: float, minus_at_s: float) -> None:
        self.users = max(self.users, int(users))
        self._peak = max(self._peak, (score, minus_at_s))

    def _add_step(self, at_ms: int, numbers: Sequence[float]) -> None:
        ticks, score, low, high, users = numbers
        step, former = CurveStep(int(ticks), score, low, high, int(users)), self.curve.get(at_ms)
        self.curve[at_ms] = step if former is None else former.joined(step)

    def _add_run(
        self, session_id: str, first_ms: int, last_s: float, peak: float, minus_at_s: float
    ) -> None:
        at_ms = round(-minus_at_s * 1000)
        self._runs.append(PollRun(session_id, first_ms, round(last_s * 1000), peak, at_ms))


def peak_of(peak: tuple[float, float]) -> tuple[float, int]:
    """Return the score and the time of a peak."""
    score, minus_at_s = peak
    return score, round(-minus_at_s * 1000)


def mean_contributions(found: Iterable[Contributions]) -> Contributions | None:
    """Return the mean of the contributions to several sessions; None without any."""
    columns = [*zip(*(_values(each) for each in found), strict=True)]
    return Contributions(*(sum(each) / len(each) for each in columns)) if columns else None


def _values(added: Contributions) -> tuple[float, ...]:
    return added.chat, added.poll, added.active_users, added.reactions, added.leave_rate


def _is_continued(run: PollRun, following: PollRun, tick_s: int) -> bool:
    is_same = run.session_id == following.session_id
    return is_same and following.first_ms - run.last_ms <= tick_s * 1000


def _joined(run: PollRun, following: PollRun) -> PollRun:
    higher = following if following.participation > run.participation else run
    return higher._replace(first_ms=run.first_ms, last_ms=following.last_ms)
