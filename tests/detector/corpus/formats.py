"""Formats of sessions, and the traits that one session of a format gets by chance."""

from math import exp, log
from random import Random
from typing import Final, NamedTuple

Range = tuple[float, float]


class Format(NamedTuple):
    """The bounds within which sessions of a format differ. `polls` and `talks` are per hour."""

    name: str
    people: Range
    rate_per_min: Range  # messages and reactions of all people together
    minutes: Range
    chat_share: Range  # the rest are reactions
    polls: float = 0.0
    talks: float = 0.0  # each ends with applause
    lulls: float = 2.0


FORMATS: Final = (
    Format("meeting", (5, 15), (6, 45), (20, 60), (0.6, 1.0), polls=0.3, lulls=3.0),
    Format("class", (12, 40), (8, 90), (30, 80), (0.6, 1.0), polls=2.0),
    Format("workshop", (20, 80), (8, 90), (40, 90), (0.5, 0.9), polls=1.5),
    Format("webinar", (50, 500), (8, 220), (30, 70), (0.5, 0.95), polls=2.5),
    Format("questions", (30, 300), (15, 220), (20, 50), (0.6, 0.95), polls=0.5, lulls=1.0),
    Format("hall", (200, 2000), (15, 450), (40, 90), (0.3, 0.8), polls=1.0, talks=2.5),
    Format("keynote", (500, 2000), (80, 600), (30, 60), (0.3, 0.7), polls=1.0, talks=1.0),
    Format("stream", (80, 1500), (30, 500), (30, 60), (0.2, 0.7), talks=0.5, lulls=1.0),
)


class Traits(NamedTuple):
    """What a session is like throughout."""

    format: Format
    people: int
    rate_per_min: float
    duration_s: int
    chat_share: float
    excitation: float  # the share of messages that answer another one
    answer_s: float  # the mean delay of an answer
    inequality: float  # the exponent of a Pareto distribution: the lower, the fewer write most
    churn_per_min: float  # the share of people who leave
    second_devices: float
    repeats: float  # the share of messages that are also mirrored, and of joins delivered twice
    has_presence: bool


def traits_of(rng: Random, chosen: Format | None = None) -> Traits:
    """Draw a format, unless one is chosen, and a session of it."""
    a_format = chosen or rng.choice(FORMATS)
    has_reactions = rng.random() > 0.12
    return Traits(
        a_format,
        round(log_uniform(rng, a_format.people)),
        log_uniform(rng, a_format.rate_per_min),
        round(rng.uniform(*a_format.minutes) * 60),
        rng.uniform(*a_format.chat_share) if has_reactions else 1.0,
        rng.uniform(0.1, 0.55),
        log_uniform(rng, (2.5, 15)),
        rng.uniform(0.85, 1.5),
        log_uniform(rng, (0.001, 0.015)),
        rng.uniform(0.0, 0.25),
        rng.choice((0.0, 0.0, 0.05, 1.0)),
        rng.random() > 0.1,
    )


def log_uniform(rng: Random, bounds: Range) -> float:
    """Draw from a range in which each factor is as likely as any other."""
    return exp(rng.uniform(log(bounds[0]), log(bounds[1])))
