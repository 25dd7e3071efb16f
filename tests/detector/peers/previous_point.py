"""The rules that many dashboards have: compare each score with the one before."""

from itertools import pairwise
from typing import Final

from tests.detector.detectors import Replayed, rising
from tests.detector.judge import Alarm

SUDDEN_SHARE: Final = 0.25  # of the score that is lost from one update to the next
LEAVE_RATE: Final = 0.15
LOW_SCORE: Final = 0.08


def previous_point(seen: Replayed) -> list[Alarm]:
    """Report a quarter less than a moment ago, many leaving, and a low score."""
    is_alarming = [False] + [
        row.score < before.score * (1 - SUDDEN_SHARE)
        or row.signals.user_leave_rate >= LEAVE_RATE
        or row.score <= LOW_SCORE
        for before, row in pairwise(seen.rows)
    ]
    return rising(seen, is_alarming)
