"""Token buckets, which limit the rate of events by the times of their entries."""

from typing import Final

NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000
UNIT_BYTES: Final = 1024


def units(size_bytes: int) -> int:
    """Return how many units an event counts as: one, and one more for each kilobyte."""
    return 1 + size_bytes // UNIT_BYTES


class Bucket:
    """A token bucket as one number: the time until which a tenant has used up its rate."""

    __slots__ = ("_burst_ns", "_cost_ns", "refused", "until_ns")

    def __init__(self, events_per_s: float, burst_s: float, until_ns: int = 0) -> None:
        self._cost_ns = round(NS_PER_S / events_per_s)
        self._burst_ns = max(self._cost_ns, round(NS_PER_S * burst_s))
        self.until_ns = until_ns
        self.refused = 0

    def admit(self, at_ms: int, size_bytes: int) -> bool:
        """Admit one event, which costs by its size; return False and count it if refused."""
        at_ns = at_ms * NS_PER_MS
        cost_ns = self._cost_ns
        if size_bytes >= UNIT_BYTES:
            cost_ns *= units(size_bytes)
        until_ns = self.until_ns
        if until_ns <= at_ns:
            self.until_ns = at_ns + cost_ns
            return True
        until_ns += cost_ns
        if until_ns - at_ns > self._burst_ns:
            self.refused += 1
            return False
        self.until_ns = until_ns
        return True
