"""Whether a pub/sub connection is alive: redis-py does not notice by itself that one is dead."""

from typing import NamedTuple

from conductor_actors.adapters.redis.connections.primary import ROLE_CHECK_INTERVAL_S


class Deadlines(NamedTuple):
    """How long a connection may be quiet, and how long a reply and a new connection may take.

    A request is due every `role_check_s` even if the connection is never quiet.
    """

    quiet_s: float = 0.25
    pong_within_s: float = 4.0
    reconnect_within_s: float = 1.0
    role_check_s: float = ROLE_CHECK_INTERVAL_S


class Liveness(NamedTuple):
    """What is known of a connection. One that is quiet is sent a request; without reply it is dead.

    All times are those of one monotonic clock.
    """

    deadlines: Deadlines
    heard_s: float
    requested_s: float
    is_waiting: bool = False

    @classmethod
    def new(cls, deadlines: Deadlines, now_s: float) -> "Liveness":
        """Return what is known of a connection that was just opened."""
        return cls(deadlines, now_s, now_s)

    def after_reply(self, now_s: float) -> "Liveness":
        """Return what is known after anything was received."""
        return Liveness(self.deadlines, now_s, self.requested_s)

    def after_request(self, now_s: float) -> "Liveness":
        """Return what is known after a request was sent."""
        return Liveness(self.deadlines, self.heard_s, now_s, is_waiting=True)

    def wait_s(self, now_s: float) -> float:
        """Return how long to wait for a reply before a request is due or the connection is dead."""
        if self.is_waiting:
            return max(0.0, self.requested_s + self.deadlines.pong_within_s - now_s)
        quiet_until_s = self.heard_s + self.deadlines.quiet_s
        return max(0.0, min(quiet_until_s, self.requested_s + self.deadlines.role_check_s) - now_s)

    def is_request_due(self, now_s: float) -> bool:
        """Return whether the connection was quiet, or its role not checked, for long enough."""
        return not self.is_waiting and self.wait_s(now_s) == 0

    def is_dead(self, now_s: float) -> bool:
        """Return whether a request has had no reply in time."""
        return self.is_waiting and self.wait_s(now_s) == 0
