"""As many sessions at once as a process can score."""

import signal
from collections.abc import Iterator
from itertools import islice

import pytest
import redis

from conductor_actors.simulate import bulk
from tests.e2e.deployment import Deployment

SESSIONS = 100_000
ADDED_AT_ONCE = 5000
WITHIN_S = 150.0


def add_an_event_of_each_session(client: redis.Redis) -> None:
    events: Iterator[tuple[str, bytes]] = bulk(SESSIONS, SESSIONS)
    while batch := list(islice(events, ADDED_AT_ONCE)):
        with client.pipeline(transaction=False) as pipeline:
            for name, body in batch:
                pipeline.xadd(name, {"data": body})
            pipeline.execute()


@pytest.mark.timeout(240)
def test_of_100_000_sessions_that_begin_at_once_none_is_quarantined_and_all_are_scored(
    deployment: Deployment,
) -> None:
    add_an_event_of_each_session(deployment.client)
    settings = {
        "CONDUCTOR_TICK_S": "10",
        "CONDUCTOR_WINDOW_S": "60",
        "CONDUCTOR_CHECKPOINT_S": "30",
        "CONDUCTOR_LOG_STREAM": "false",
    }
    with deployment.running(**settings) as program:
        program.wait_for("tick_completed", WITHIN_S, sessions=SESSIONS)
        program.signal(signal.SIGTERM)
        program.finish(deadline_s=60)  # on a busy machine a drain of so many is given up at 20 s
        assert program.all("session_quarantined") == []
        assert program.all("actor_failed") == []
