"""A simulation in real time: its events into Redis, as a platform would add them."""

import threading
import time
from collections.abc import Sequence
from typing import Final

import redis

from conductor_actors.log_events import SimulationInterrupted, SimulationResumed, emit
from conductor_actors.simulate.simulation import Simulation

STEP_S: Final = 0.25
STREAM_ENTRIES: Final = 100_000  # of 250 bytes: an hour of a demo in 25 MB


def feed(client: redis.Redis, simulation: Simulation, stop: threading.Event) -> None:
    """Add the events to their streams as they happen, until `stop`.

    While Redis is away they are lost, as a platform's would be.
    """
    away = False
    while not stop.is_set():
        try:
            _add(client, simulation.step(time.time(), STEP_S))
        except (redis.ConnectionError, redis.TimeoutError) as error:
            if not away:
                emit(SimulationInterrupted(error=str(error)))
            away = True
        else:
            if away:
                emit(SimulationResumed())
            away = False
        stop.wait(STEP_S)


def _add(client: redis.Redis, events: Sequence[tuple[str, bytes]]) -> None:
    with client.pipeline(transaction=False) as pipeline:
        for name, body in events:
            pipeline.xadd(name, {"data": body}, maxlen=STREAM_ENTRIES, approximate=True)
        pipeline.execute()
