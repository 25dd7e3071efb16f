"""Half-space trees of river, which learn online where points are rare (Tan, Ting, Liu, 2011)."""

from collections.abc import Callable
from math import log1p
from typing import Final

from conductor_actors.domain.scoring import ScoreRow
from tests.detector.detectors import Replayed, rising
from tests.detector.judge import Alarm

WINDOW: Final = 60  # rows, after which what was learnt is used
ALARMING: Final = 0.97


def half_space_trees() -> Callable[[Replayed], list[Alarm]]:
    """Return the detector; raise ImportError without river."""
    from river.anomaly import HalfSpaceTrees  # noqa: PLC0415 - optional

    def detect(seen: Replayed) -> list[Alarm]:
        trees = HalfSpaceTrees(n_trees=15, height=6, window_size=WINDOW, seed=1)
        is_alarming = []
        for number, row in enumerate(seen.rows):
            point = _point(row)
            score = trees.score_one(point)
            is_alarming.append(number >= WINDOW and score >= ALARMING)
            trees.learn_one(point)
        return rising(seen, is_alarming)

    return detect


def _point(row: ScoreRow) -> dict[str, float]:
    """Return the signals, each from 0 to 1."""
    signals = row.signals
    return {
        "score": row.score,
        "chat": min(1.0, log1p(signals.chat_msgs_per_min) / log1p(600)),
        "reactions": min(1.0, log1p(signals.reactions_per_min) / log1p(600)),
        "active": signals.active_users / max(1, signals.total_users),
        "leaving": signals.user_leave_rate,
    }
