"""Simulates all sessions of a programme at the same time."""

from collections.abc import Sequence
from random import Random

from conductor_actors.domain.identity import DEFAULT_TENANT
from conductor_actors.simulate.audience import Audience
from conductor_actors.simulate.producer import SimulatedProducer
from conductor_actors.simulate.programme import script_at


class Simulation:
    """Simulated sessions, which belong to the tenants in turn and begin with the first step.

    Simulations that share a Redis need different seeds: message ids are generated from the seed.
    """

    def __init__(
        self, sessions: int = 12, seed: int = 0, tenants: Sequence[str] = (DEFAULT_TENANT,)
    ) -> None:
        self._audiences = [
            _audience(index, tenants[index % len(tenants)], seed) for index in range(sessions)
        ]

    def step(self, at_s: float, dt_s: float) -> list[tuple[str, bytes]]:
        """Return the events of `[at_s, at_s + dt_s)` (Unix time): Redis name and body, in order."""
        events = [event for audience in self._audiences for event in audience.step(at_s, dt_s)]
        events.sort(key=lambda event: event.at_s)
        return [(event.name, event.body) for event in events]


def _audience(index: int, tenant: str, seed: int) -> Audience:
    rng = Random(f"{seed}:{index}")  # noqa: S311 - no secret
    script = script_at(index)
    return Audience(script, SimulatedProducer(script.session_id, tenant, rng), rng)
