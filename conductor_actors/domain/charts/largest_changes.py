"""The moments of sessions: the largest changes of the score within a minute.

Of the changes in one minute of a steep rise, nearly all are large: only the largest of them is a
moment. So moments of a session are over a minute apart.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

MAX_MOMENTS: Final = 5
MOMENT_S: Final = 60


class ScoreChange(NamedTuple):
    """The scores of a session at a tick, and exactly a minute before."""

    session_id: str
    at_ms: int
    before: float
    after: float

    @property
    def change(self) -> float:
        """The difference."""
        return self.after - self.before


def largest_changes(changes: Iterable[ScoreChange]) -> list[ScoreChange]:
    """Return the moments among changes in one direction, the largest first.

    Of equal ones the first in time is chosen, then that of the session whose id comes first.
    """
    found: list[ScoreChange] = []
    for one in sorted(changes, key=lambda each: (-abs(each.change), each.at_ms, each.session_id)):
        if not any(_are_near(one, other) for other in found):
            found.append(one)
            if len(found) == MAX_MOMENTS:
                break
    return found


def sufficient_changes(tick_s: int) -> int:
    """Return how many of the largest changes must be known to find all moments among them.

    Each moment rules out those within a minute on either side.
    """
    return (MAX_MOMENTS - 1) * (2 * (MOMENT_S // tick_s) + 1) + 1


def _are_near(one: ScoreChange, other: ScoreChange) -> bool:
    is_same = one.session_id == other.session_id
    return is_same and abs(one.at_ms - other.at_ms) <= MOMENT_S * 1000
