"""The two clocks of the dashboard."""

from typing import NamedTuple

from conductor_actors.ports import Clock


class Clocks(NamedTuple):
    """Monotonic seconds for intervals; seconds since 1970 to compare with ticks and tokens."""

    monotonic: Clock
    wall: Clock
