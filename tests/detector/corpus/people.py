"""The people of a session: how much each writes, and from when to when each is there."""

from bisect import bisect
from itertools import accumulate
from random import Random
from typing import Final, NamedTuple

from tests.detector.corpus.formats import Traits
from tests.detector.corpus.programme import Programme, Span

Visits = list[tuple[float, float]]
MAX_RECONNECT_S: Final = 55.0


class Person(NamedTuple):
    """One person. Each visit is from their first connection to the end of their last one."""

    id: str
    devices: int
    visits: Visits

    def is_present(self, at_s: float) -> bool:
        return any(begin_s <= at_s < end_s for begin_s, end_s in self.visits)

    def leave(self, at_s: float, back_s: float) -> bool:
        """End the visit at `at_s`, and begin another at `back_s` unless the visit is over then."""
        for number, (begin_s, end_s) in enumerate(self.visits):
            if begin_s <= at_s < end_s:
                self.visits[number : number + 1] = [(begin_s, at_s)]
                if back_s < end_s:
                    self.visits.insert(number + 1, (back_s, end_s))
                return True
        return False


class People:
    """Everybody who is ever in a session."""

    def __init__(self, traits: Traits, duration_s: float, rng: Random, *, prompt: bool) -> None:
        self._rng = rng
        self._traits = traits
        self._duration_s = duration_s
        self.all = [self._new(number, prompt=prompt) for number in range(traits.people)]
        most = 3 + traits.people / 8  # so that nobody writes everything
        weights = [min(most, rng.paretovariate(traits.inequality)) for _ in self.all]
        self._cumulative = list(accumulate(weights))

    def writer(self) -> Person:
        """Draw who writes; who is not there does not write."""
        at = self._rng.random() * self._cumulative[-1]
        return self.all[bisect(self._cumulative, at)]

    def present(self, at_s: float) -> list[Person]:
        return [person for person in self.all if person.is_present(at_s)]

    def follow(self, programme: Programme) -> None:
        """Leave and come back in breaks, and leave at the end."""
        for span in programme.spans:
            if span.name in ("break", "unannounced break"):
                self._pause(span)
            elif span.name == "ending":
                self._go(span)

    def reconnect(self, at_s: float, share: float, median_s: float) -> float:
        """Disconnect a share of the people, who come back; return when all are back."""
        rng, last_s = self._rng, at_s
        for person in self.present(at_s):
            if rng.random() < share:
                left_s = at_s + min(8.0, rng.expovariate(0.6))
                back_s = left_s + min(MAX_RECONNECT_S, median_s * rng.lognormvariate(0, 0.7))
                if rng.random() < 0.03:
                    back_s = self._duration_s
                else:
                    last_s = max(last_s, back_s)
                person.leave(left_s, back_s)
        return last_s

    def exit(self, at_s: float, count: int, within_s: float) -> None:
        """Make so many people leave for good."""
        for person in self._rng.sample(self.present(at_s), count):
            person.leave(at_s + self._rng.random() * within_s, self._duration_s + 1)

    def _new(self, number: int, *, prompt: bool) -> Person:
        rng, traits = self._rng, self._traits
        if rng.random() < (0.97 if prompt else 0.75):
            begin_s = min(150.0, 35 * rng.lognormvariate(0, 0.8))
        else:
            begin_s = rng.uniform(0, 0.5 * self._duration_s)
        end_s = self._duration_s + 1
        visits: Visits = []
        while begin_s < self._duration_s:
            leaves_s = begin_s + rng.expovariate(traits.churn_per_min / 60)
            visits.append((begin_s, min(leaves_s, end_s)))
            if leaves_s >= end_s or rng.random() < 0.5:
                break
            begin_s = leaves_s + rng.uniform(20, 600)  # gone for a while
        return Person(f"u{number}", 1 + (rng.random() < traits.second_devices), visits)

    def _pause(self, span: Span) -> None:
        rng = self._rng
        share, length_s = rng.uniform(0.0, 0.3), span.end_s - span.begin_s
        for person in self.present(span.begin_s):
            if rng.random() < share:
                left_s = span.begin_s + rng.uniform(0, 0.6) * length_s
                person.leave(left_s, span.end_s + rng.uniform(-60, 60))

    def _go(self, span: Span) -> None:
        """Leave after the end: most within a minute or two, and a few never."""
        rng, mean_s = self._rng, self._rng.uniform(15, 90)
        for person in self.present(span.begin_s):
            if rng.random() < 0.95:
                left_s = span.begin_s + rng.uniform(0, 10) + rng.expovariate(1 / mean_s)
                person.leave(left_s, self._duration_s + 1)
