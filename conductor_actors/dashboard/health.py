"""Whether the process works, and whether updates reach clients: for those who restart and route."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from conductor_actors.dashboard.bodies import GapCount, Health, Readiness, encode
from conductor_actors.dashboard.hub import Hub
from conductor_actors.outages import Outage


class Neighbour(Protocol):
    """The collector, as far as it is in this process."""

    def state(self) -> str:
        """Return its state in a word."""

    def obstacles(self) -> Sequence[str]:
        """Return what prevents events from being read or scores from leaving, if anything does."""

    def lag_s(self) -> float | None:
        """Return how far reading is behind, if known."""

    def checkpoint_age_s(self) -> float | None:
        """Return the age of the last checkpoint, if known."""

    def gaps(self) -> Mapping[str, tuple[int, int]]:
        """Count gaps, and the events known to be lost in them, by reason."""


class Elsewhere:
    """A collector in another process: what it does is heard, or not."""

    def state(self) -> str:
        """Return its state in a word."""
        return "elsewhere"

    def obstacles(self) -> Sequence[str]:
        """Know of none."""
        return ()

    def lag_s(self) -> float | None:
        """Do not know."""
        return None

    def checkpoint_age_s(self) -> float | None:
        """Do not know."""
        return None

    def gaps(self) -> Mapping[str, tuple[int, int]]:
        """Know of none."""
        return {}


class Condition:
    """What is known of this process. `is_draining` is set from the thread that ends it."""

    def __init__(self, hub: Hub, redis: Outage, database: Outage, collector: Neighbour) -> None:
        self.is_draining = False
        self._hub = hub
        self._redis = redis
        self._database = database
        self._collector = collector

    def routes(self) -> list[BaseRoute]:
        """List the paths; they hold no data, so they need no token."""
        return [Route("/health", self._answer_health), Route("/ready", self._answer_ready)]

    def reasons(self) -> list[str]:
        """Return the reasons why updates do not reach clients."""
        reasons = list(self._collector.obstacles())
        if self.is_draining:
            reasons.append("draining")
        if self._redis.state != "ok":
            reasons.append("redis: updates can't be heard")
        return reasons

    async def _answer_health(self, _: Request) -> Response:
        collector = self._collector
        health = Health(
            self._status(),
            "ok" if self._redis.state == "ok" else "away",
            self._database.state,
            collector.state(),
            len(self._hub),
            collector.lag_s(),
            collector.checkpoint_age_s(),
            {reason: GapCount(*counts) for reason, counts in collector.gaps().items()},
        )
        return _answer(health, 200)

    async def _answer_ready(self, _: Request) -> Response:
        reasons = self.reasons()
        return _answer(Readiness(not reasons, reasons), 503 if reasons else 200)

    def _status(self) -> Literal["ok", "standby", "draining"]:
        if self.is_draining:
            return "draining"
        return "standby" if self._collector.state() == "standby" else "ok"


def _answer(body: object, status: int) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(encode(body), status, headers, media_type="application/json")
