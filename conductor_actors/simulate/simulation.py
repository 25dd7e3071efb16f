"""Simulates all sessions of a programme at the same time."""

from collections.abc import Iterable, Sequence
from random import Random

from conductor_actors.domain.identity import DEFAULT_TENANT, SessionKey
from conductor_actors.simulate.audience import Audience
from conductor_actors.simulate.producer import SimulatedProducer
from conductor_actors.simulate.programme import Script, script_at
from conductor_actors.simulate.responses import PlatformAction


class Simulation:
    """Simulated sessions, which belong to the tenants in turn and begin with the first step.

    Simulations that share a Redis need different seeds: message ids are generated from the seed.
    """

    def __init__(
        self, sessions: int = 12, seed: int = 0, tenants: Sequence[str] = (DEFAULT_TENANT,)
    ) -> None:
        self.tenants = tuple(tenants)
        self._audiences = dict(
            _audience(index, tenants[index % len(tenants)], seed) for index in range(sessions)
        )

    @property
    def sessions(self) -> Iterable[SessionKey]:
        """The simulated sessions."""
        return self._audiences.keys()

    @property
    def scripts(self) -> list[tuple[str, Script]]:
        """The scripts of the sessions, each with its tenant."""
        return [(key.tenant_id, audience.script) for key, audience in self._audiences.items()]

    def step(self, at_s: float, dt_s: float) -> list[tuple[str, bytes]]:
        """Return the events of `[at_s, at_s + dt_s)` (Unix time): Redis name and body, in order."""
        rooms = self._audiences.values()
        events = [event for audience in rooms for event in audience.step(at_s, dt_s)]
        events.sort(key=lambda event: event.at_s)
        return [(event.name, event.body) for event in events]

    def disconnect(self, at_s: float) -> None:
        """Send that everybody leaves who is still connected from an earlier simulation."""
        for audience in self._audiences.values():
            audience.disconnect(at_s)

    def skip(self, length_s: float) -> None:
        """Skip a part of every session's script."""
        for audience in self._audiences.values():
            audience.skip(length_s)

    def carry_out(self, key: SessionKey, action: PlatformAction, at_s: float) -> bool:
        """Respond to an action in a session from `at_s` on; return whether there is the session."""
        audience = self._audiences.get(key)
        if audience is not None:
            audience.carry_out(action, at_s)
        return audience is not None


def _audience(index: int, tenant: str, seed: int) -> tuple[SessionKey, Audience]:
    rng = Random(f"{seed}:{index}")  # noqa: S311 - no secret
    script = script_at(index)
    producer = SimulatedProducer(script.session_id, tenant, rng)
    return SessionKey(tenant, script.session_id), Audience(script, producer, rng)
