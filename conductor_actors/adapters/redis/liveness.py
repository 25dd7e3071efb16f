"""Whether a pub/sub connection is alive: redis-py does not notice by itself that one is dead."""

from typing import NamedTuple


class Deadlines(NamedTuple):
    """How long a connection may be quiet, and how long a reply and a new connection may take."""

    quiet_s: float = 0.25
    pong_within_s: float = 4.0
    reconnect_within_s: float = 1.0


class Liveness(NamedTuple):
    """What is known of a connection. One that is quiet is sent a PING; without a reply it is dead.

    All times are those of one monotonic clock.
    """

    deadlines: Deadlines
    heard_s: float
    pinged_s: float | None = None

    def after_reply(self, now_s: float) -> "Liveness":
        """Return what is known after anything was received."""
        return Liveness(self.deadlines, now_s)

    def after_ping(self, now_s: float) -> "Liveness":
        """Return what is known after a PING was sent."""
        return Liveness(self.deadlines, self.heard_s, now_s)

    def wait_s(self, now_s: float) -> float:
        """Return how long to wait for a reply before a PING is due, or the connection is dead."""
        if self.pinged_s is None:
            return max(0.0, self.heard_s + self.deadlines.quiet_s - now_s)
        return max(0.0, self.pinged_s + self.deadlines.pong_within_s - now_s)

    def needs_ping(self, now_s: float) -> bool:
        """Return whether the connection has been quiet for long enough to send a PING."""
        return self.pinged_s is None and self.wait_s(now_s) == 0

    def is_dead(self, now_s: float) -> bool:
        """Return whether a PING has had no reply in time."""
        return self.pinged_s is not None and self.wait_s(now_s) == 0
