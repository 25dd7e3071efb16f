"""What happens in a session, second by second: how much its people write, react and vote."""

from math import exp, sqrt
from random import Random
from typing import Final, NamedTuple

from tests.detector.corpus.formats import Traits, log_uniform

OPENING_S: Final = 240  # nothing but greetings happens before
ENDING_S: Final = 240
LULL_APART_S: Final = 60
LULL_FACTOR: Final = (0.45, 0.75)  # less would be a partial drop, which leaves up to 0.25
# Where no incident begins, since nobody could tell it from this.
EXCLUSIVE: Final = ("break", "unannounced break", "chat closed", "lull", "storm", "ending", "flood")


class Span(NamedTuple):
    """A part of a programme, in seconds since its begin."""

    name: str
    begin_s: float
    end_s: float
    factor: float = 1.0


class Poll(NamedTuple):
    begin_s: float
    end_s: float
    turnout: float


class Programme:
    """The course of a session: a factor of activity for each second, its polls and its spans."""

    def __init__(self, traits: Traits, rng: Random) -> None:
        self._rng = rng
        self.traits = traits
        self.duration_s = traits.duration_s
        self.chat = _mood(rng, self.duration_s, rng.uniform(0.1, 0.4))
        self.reactions = _mood(rng, self.duration_s, rng.uniform(0.1, 0.4))
        self.spans: list[Span] = []
        self.polls: list[Poll] = []

    def plan(self) -> None:
        """Add all that happens in an ordinary session."""
        rng, traits = self._rng, self.traits
        hours = self.duration_s / 3600
        if rng.random() < 0.6:
            self._scale(Span("greetings", 0, rng.uniform(40, 150), rng.uniform(1.2, 3)), ramp_s=20)
        self._add_pauses()
        for _ in range(_poisson(rng, traits.format.lulls * hours)):
            self._add_lull()
        for _ in range(_poisson(rng, 3 * hours)):
            begin_s, length_s = self._somewhere(), log_uniform(rng, (10, 80))
            self._scale(
                Span("burst", begin_s, begin_s + length_s, log_uniform(rng, (1.8, 7))), ramp_s=3
            )
        for _ in range(_poisson(rng, traits.format.polls * hours)):
            self._add_poll()
        for _ in range(_poisson(rng, traits.format.talks * hours)):
            self._applaud(self._somewhere(), "applause")
        self._add_ending()

    def is_free(self, begin_s: float, end_s: float) -> bool:
        """Check that an incident can be from `begin_s` to `end_s`."""
        return begin_s >= OPENING_S and not any(
            span.begin_s < end_s and begin_s < span.end_s
            for span in self.spans
            if span.name in EXCLUSIVE
        )

    def silence(self, end_s: float, rate_per_min: float) -> None:
        """Begin with nearly no activity."""
        factor, end = rate_per_min / self.traits.rate_per_min, min(int(end_s), self.duration_s)
        self.chat[:end] = self.reactions[:end] = [factor] * end
        self.polls = [poll for poll in self.polls if poll.begin_s > end_s]
        self.spans.append(Span("low start", 0, end_s, factor))

    def _somewhere(self) -> float:
        last_s = max(OPENING_S + 1, self.duration_s - ENDING_S - 60)
        return self._rng.uniform(OPENING_S, last_s)

    def _add_lull(self) -> None:
        """Add a lull apart from others: two at once would be as little as a partial drop."""
        rng, length_s = self._rng, log_uniform(self._rng, (40, 300))
        begin_s = self._somewhere()
        if not self._has_pause(begin_s - LULL_APART_S, begin_s + length_s + LULL_APART_S):
            lull = Span("lull", begin_s, begin_s + length_s, rng.uniform(*LULL_FACTOR))
            self._scale(lull, ramp_s=log_uniform(rng, (4, 40)))

    def _has_pause(self, begin_s: float, end_s: float) -> bool:
        return any(
            span.begin_s < end_s and begin_s < span.end_s
            for span in self.spans
            if span.name in {"lull", "break", "unannounced break"}
        )

    def _add_poll(self) -> None:
        begin_s, length_s = self._somewhere(), self._rng.uniform(30, 120)
        self.polls.append(Poll(begin_s, begin_s + length_s, self._rng.uniform(0.1, 0.7)))
        factor = self._rng.uniform(0.7, 1.0)
        self._scale(Span("poll", begin_s, begin_s + length_s, factor), ramp_s=5)

    def _applaud(self, begin_s: float, name: str) -> None:
        rng = self._rng
        end_s = begin_s + rng.uniform(15, 60)
        reactions = rng.uniform(3, 10)
        thanks = rng.uniform(1.5, 4) if self.traits.chat_share == 1.0 else rng.uniform(1.2, 3)
        self._scale(Span(name, begin_s, end_s, thanks), ramp_s=4, reactions=reactions)

    def _add_pauses(self) -> None:
        rng = self._rng
        if self.duration_s > 2400 and rng.random() < 0.45:
            begin_s = rng.uniform(0.35, 0.65) * self.duration_s
            end_s = begin_s + rng.uniform(240, 720)
            if rng.random() < 0.65:
                self._scale(Span("break", begin_s, end_s, rng.uniform(0.02, 0.25)), ramp_s=20)
            else:
                factor = rng.uniform(*LULL_FACTOR)
                self._scale(Span("unannounced break", begin_s, end_s, factor), ramp_s=60)
        if self.traits.chat_share < 0.9 and rng.random() < 0.06:
            begin_s, length_s = self._somewhere(), rng.uniform(120, 600)
            self._scale(
                Span("chat closed", begin_s, begin_s + length_s, 0.0), ramp_s=0, reactions=1.0
            )

    def _add_ending(self) -> None:
        """End with applause, or be cut off. People leave from `begin_s` of the ending on."""
        rng = self._rng
        if rng.random() < 0.2:
            return
        begin_s = self.duration_s - rng.uniform(100, ENDING_S)
        self._applaud(begin_s - rng.uniform(5, 25), "last applause")
        self._scale(Span("ending", begin_s + 20, self.duration_s, rng.uniform(0.3, 0.7)), ramp_s=60)

    def _scale(self, span: Span, ramp_s: float, reactions: float | None = None) -> None:
        """Multiply the activity in a span, with ramps at both ends; reactions by another factor."""
        name, begin_s, end_s, factor = span
        end_s = min(end_s, self.duration_s)
        if begin_s >= end_s:
            return
        self.spans.append(Span(name, begin_s, end_s, factor))
        of_reactions = factor if reactions is None else reactions
        for second in range(max(0, int(begin_s)), min(int(end_s) + 1, self.duration_s)):
            inside_s = min(second - begin_s, end_s - second)
            weight = min(1.0, max(0.0, inside_s / ramp_s)) if ramp_s else 1.0
            self.chat[second] *= 1 + (factor - 1) * weight
            self.reactions[second] *= 1 + (of_reactions - 1) * weight


def _mood(rng: Random, duration_s: int, deviation: float) -> list[float]:
    """Return factors that wander around 1 over minutes: an Ornstein-Uhlenbeck process of logs."""
    step_s, level = 10, rng.gauss(0, deviation)
    decay = exp(-step_s / rng.uniform(90, 600))
    noise, factors = deviation * sqrt(1 - decay * decay), []
    for _ in range(0, duration_s, step_s):
        factors += [exp(level - deviation * deviation / 2)] * step_s
        level = level * decay + rng.gauss(0, noise)
    return factors[:duration_s]


def _poisson(rng: Random, mean: float) -> int:
    count, left = 0, rng.expovariate(1.0)
    while left < mean:
        count += 1
        left += rng.expovariate(1.0)
    return count
