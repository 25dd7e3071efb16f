"""All sessions of a programme, played side by side."""

from collections.abc import Sequence
from random import Random

from conductor_actors.simulate.programme import script
from conductor_actors.simulate.room import Room
from conductor_actors.simulate.wire import DEFAULT_TENANT, Wire


class Simulation:
    """Play sessions, in turn of the tenants; they begin with the first step.

    Runs that share a Redis need seeds of their own: message ids come from the seed too.
    """

    def __init__(
        self, sessions: int = 12, seed: int = 0, tenants: Sequence[str] = (DEFAULT_TENANT,)
    ) -> None:
        self._rooms = [
            _room(index, tenants[index % len(tenants)], seed) for index in range(sessions)
        ]

    def step(self, at_s: float, dt_s: float) -> list[tuple[str, bytes]]:
        """Return the events of `[at_s, at_s + dt_s)` (Unix time): Redis name and body, in order."""
        sent = [event for room in self._rooms for event in room.step(at_s, dt_s)]
        sent.sort(key=lambda event: event.at_s)
        return [(event.name, event.body) for event in sent]


def _room(index: int, tenant: str, seed: int) -> Room:
    chance = Random(f"{seed}:{index}")  # noqa: S311 - no secret
    play = script(index)
    return Room(play, Wire(play.session_id, tenant, chance), chance)
