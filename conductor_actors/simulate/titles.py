"""Sends what people call the simulated sessions, as a platform does."""

import msgspec
import redis

from conductor_actors.domain.identity import prefixed
from conductor_actors.domain.session_titles import SESSION_INFO
from conductor_actors.simulate.producer import EVENT_ID
from conductor_actors.simulate.programme import EARLIER, Script
from conductor_actors.simulate.simulation import Simulation


def add_titles(client: redis.Redis, simulation: Simulation, prefix: str = "") -> None:
    """Add the titles of the sessions to Redis, also those of the sessions that ended before."""
    earlier = [(simulation.tenants[0], each.script) for each in EARLIER]
    with client.pipeline(transaction=False) as pipeline:
        for tenant, script in simulation.scripts + earlier:
            name = prefix + prefixed(tenant, SESSION_INFO)
            pipeline.xadd(name, {"data": _info(script)}, maxlen=1000, approximate=True)
        pipeline.execute()


def _info(script: Script) -> bytes:
    return msgspec.json.encode(
        {
            "sessionId": script.session_id,
            "eventId": EVENT_ID,
            "title": script.title,
            "speakers": script.speakers,
            "eventTitle": "Summer Summit 2026",
        }
    )
