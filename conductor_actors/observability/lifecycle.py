"""The status of a collector that runs alone, followed by its log events."""

import time
from collections.abc import Sequence
from typing import Final

from conductor_actors import log_events as events
from conductor_actors.log_events import LogEvent
from conductor_actors.observability.collector_status import CollectorState, CollectorStatus
from conductor_actors.observability.tick_timeliness import TickTimeliness
from conductor_actors.ports import Clock

# Without one of these, no event is read or no score is published. A standby calls it `redis`.
REQUIRED_SERVICES: Final = frozenset({"redis", "redis events", "redis updates"})


class LifecycleTracker:
    """Follows a collector's phases and outages. Pass `observe` to `log_events.subscribe`."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._phase: CollectorState = "starting"
        self._ticks = TickTimeliness(clock)
        self._away: set[str] = set()

    def observe(self, event: LogEvent) -> None:
        """Record what one event reports."""
        self._ticks.observe(event)
        match event:
            case events.LeaseAwaited():
                self._phase = "standby"
            case events.ServiceStarted():
                self._phase = "running"
            case events.DrainBegan():
                self._phase = "draining"
            case events.OutageBegan():
                self._away = self._away | {event.service}
            case events.OutageEnded():
                self._away = self._away - {event.service}

    def status(self) -> CollectorStatus:
        """Return the status of this moment."""
        return CollectorStatus(self._phase, self._obstacles())

    def _obstacles(self) -> Sequence[str]:
        """Return what prevents this process from doing its part.

        The part of a standby is to wait: a rollout that replaces it may proceed to the owner.
        """
        away = self._away
        if self._phase in ("starting", "draining"):
            return [f"collector: {self._phase}", *(f"{each}: away" for each in sorted(away))]
        obstacles = [f"{each}: away" for each in sorted(away & REQUIRED_SERVICES)]
        return [*obstacles, *self._ticks.obstacles()]
