"""Sessions whose people all stopped a few seconds ago: an anomaly begins in each within seconds."""

from collections.abc import Sequence
from typing import Final

import redis

from conductor_actors.domain.identity import DEFAULT_TENANT, prefixed
from tests.support.recorded_talk import FIRST_DROP_S, Talk

RECORDED: Final = "session-0"  # in a recording of one session


def add_dropping_sessions(
    client: redis.Redis, names: Sequence[str], tenant: str = DEFAULT_TENANT, silent_s: float = 3.0
) -> None:
    """Add the events of four lively minutes of each session, the last of them so long ago."""
    first_ms = redis_time_ms(client) - round((FIRST_DROP_S + silent_s) * 1000)
    talk = Talk(sessions=1, minutes=FIRST_DROP_S // 60).events()
    with client.pipeline(transaction=False) as pipeline:
        for at_s, name, body in talk:
            if at_s < FIRST_DROP_S:
                for session in names:
                    data = body.replace(RECORDED, session)
                    entry_id = f"{first_ms + round(at_s * 1000)}-*"
                    pipeline.xadd(prefixed(tenant, name), {"data": data}, entry_id)
        pipeline.execute()


def redis_time_ms(client: redis.Redis) -> int:
    seconds, micros = client.time()
    return int(seconds) * 1000 + int(micros) // 1000
