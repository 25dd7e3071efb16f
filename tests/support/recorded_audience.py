"""Record an hour of simulated sessions, and unusual events: `… > events.jsonl`."""

import sys
from collections.abc import Iterator
from itertools import cycle
from typing import Final

from conductor_actors.simulate.simulation import Simulation
from tests.support.unusual_events import UNUSUAL_EVENTS

SESSIONS: Final = 12
SEED: Final = 7
BEGAN_S: Final = 1_767_528_000
HOUR_S: Final = 3600
STEP_S: Final = 1


def recorded_lines() -> Iterator[bytes]:
    """Return the lines of the recording."""
    simulation = Simulation(SESSIONS, SEED, tenants=["default", "acme"])
    unusual = cycle((name, body) for _, name, body in UNUSUAL_EVENTS if b"\n" not in body)
    for at_s in range(BEGAN_S, BEGAN_S + HOUR_S, STEP_S):
        events = [*simulation.step(at_s, STEP_S), next(unusual)]
        for number, (name, body) in enumerate(events):
            ms = at_s * 1000 + number * STEP_S * 1000 // len(events)
            yield b'{"id":"%d-%d","name":"%s","data":%s}\n' % (ms, number, name.encode(), body)


if __name__ == "__main__":
    sys.stdout.buffer.writelines(recorded_lines())
