"""A limit on the number of requests of each tenant in a minute."""

from conductor_actors.errors import Overloaded
from conductor_actors.ports import Clock


class RateLimit:
    """Counts the requests of each tenant in the current minute of the clock."""

    def __init__(self, max_per_min: int, clock: Clock) -> None:
        self._max_per_min = max_per_min
        self._clock = clock
        self._minute = 0
        self._counts: dict[str, int] = {}

    def count(self, tenant: str) -> None:
        """Count a request of a tenant; raise `Overloaded` if there are too many."""
        minute = int(self._clock() // 60)
        if minute != self._minute:
            self._minute, self._counts = minute, {}
        counted = self._counts.get(tenant, 0)
        if counted >= self._max_per_min:
            raise Overloaded(f"more than {self._max_per_min} such requests in a minute")
        self._counts[tenant] = counted + 1
