"""What a producer sends and a dashboard receives."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from math import log
from typing import Final

import redis

SESSION: Final = "a session"
# Of one user, who has joined and sent one message in a minute.
SCORE: Final = 0.30 * log(2) / log(21) + 0.25

_UPDATE_WITHIN_S: Final = 15.0


def send_events(url: str, prefix: str = "") -> None:
    """Send a join and a message of one user, as a producer does."""
    join = {"type": "user_join", "sessionId": SESSION, "userId": "ann"}
    message = {"sessionId": SESSION, "message": {"id": "1", "authorId": "ann"}}
    with redis.Redis.from_url(url) as producer:
        for name, body in {
            "sync-events": join,
            "platform.events.chat.message.v1": message,
        }.items():
            producer.xadd(prefix + name, {"data": json.dumps(body)})


@contextmanager
def published_scores(url: str) -> Iterator[Iterator[float]]:
    """Subscribe to updates, as a dashboard does; yield the scores in them."""
    with redis.Redis.from_url(url) as client, client.pubsub() as listener:
        listener.subscribe("engagement:update")
        assert listener.get_message(timeout=_UPDATE_WITHIN_S) is not None
        yield _scores(listener)


def _scores(listener: redis.client.PubSub) -> Iterator[float]:
    while (message := listener.get_message(timeout=_UPDATE_WITHIN_S)) is not None:
        yield json.loads(message["data"])["score"]
