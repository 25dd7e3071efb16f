"""Runs a simulation in real time and adds its events to Redis, as a platform does.

It also carries out what the conductor sends.
"""

import threading
import time
from collections.abc import Sequence
from typing import Final

import redis

from conductor_actors.log_events import SimulationInterrupted, SimulationResumed, emit
from conductor_actors.simulate.platform import SimulatedPlatform
from conductor_actors.simulate.simulation import Simulation

STEP_S: Final = 0.25
STREAM_ENTRIES: Final = 100_000  # of 250 bytes each: 25 MB hold an hour of a demo


def feed(
    client: redis.Redis, simulation: Simulation, stop: threading.Event, prefix: str = ""
) -> None:
    """Add the events to their streams, whose names get a prefix, as they happen, until `stop`.

    Events of an outage of Redis are lost, as those of a platform are, and so are actions.
    """
    platform = SimulatedPlatform(client, simulation, prefix)
    has_outage = False
    while not stop.is_set():
        try:
            platform.carry_out_actions(time.time())
            _add(client, simulation.step(time.time(), STEP_S), prefix)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            if not has_outage:
                emit(SimulationInterrupted(error=str(error)))
            has_outage = True
        else:
            if has_outage:
                emit(SimulationResumed())
            has_outage = False
        stop.wait(STEP_S)
    platform.close()


def _add(client: redis.Redis, events: Sequence[tuple[str, bytes]], prefix: str) -> None:
    with client.pipeline(transaction=False) as pipeline:
        for name, body in events:
            pipeline.xadd(prefix + name, {"data": body}, maxlen=STREAM_ENTRIES, approximate=True)
        pipeline.execute()
