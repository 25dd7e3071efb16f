"""What time it is, in two ways."""

from typing import NamedTuple

from conductor_actors.ports import Clock


class Clocks(NamedTuple):
    """Seconds that never go back, and seconds since 1970."""

    monotonic: Clock
    now: Clock
