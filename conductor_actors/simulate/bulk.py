"""Generates many events fast, for benchmarks."""

from collections.abc import Iterator
from random import Random
from typing import Final

from conductor_actors.simulate.producer import CHAT, LIVE, REACTION, VOTE

_CHAT: Final = (
    b'{"sessionId":"bulk-%d","eventId":"summer-summit-2026","message":{"id":"message-%d-%d",'
    b'"text":"could you show that again?","timestamp":"2026-01-04T12:00:00.000Z",'
    b'"authorId":"user-%d"}}'
)
_REACTION: Final = (
    b'{"userId":"user-%d","sessionId":"bulk-%d","emoji":"\xf0\x9f\x94\xa5",'
    b'"timestamp":"2026-01-04T12:00:00.000Z","client":{"name":"web","version":"4.12.0",'
    b'"locale":"en-GB","reconnects":0,"visible":true}}'
)
_VOTE: Final = (
    b'{"userId":"user-%d","pollId":"7ebff206-8673-4721-8cdd-2055930d6eaf","optionId":"option-2",'
    b'"sessionId":"bulk-%d","eventId":"summer-summit-2026",'
    b'"voteTimestamp":"2026-01-04T12:00:00.000Z"}'
)
_JOIN: Final = (
    b'{"type":"user_join","sessionId":"bulk-%d","eventId":"summer-summit-2026",'
    b'"userId":"user-%d","payload":{"client":"web","version":"4.12.0","locale":"en-GB",'
    b'"connectedAt":"2026-01-04T12:00:00.000Z"}}'
)


def bulk(events: int, sessions: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Return events of about 200 bytes, which belong in turn to `bulk-0`, `bulk-1` and so on.

    70% are chat messages; the others are reactions, votes and joins. A session has 50 users.
    """
    rng = Random(seed)  # noqa: S311 - no secret
    for index in range(events):
        kind, user, session = rng.random(), int(rng.random() * 50), index % sessions
        if kind < 0.7:
            yield CHAT, _CHAT % (session, seed, index, user)
        elif kind < 0.85:
            yield REACTION, _REACTION % (user, session)
        elif kind < 0.95:
            yield VOTE, _VOTE % (user, session)
        else:
            yield LIVE, _JOIN % (session, user)
