"""Every invalid body, through a real Valkey by both transports, with valid events between."""

from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest
import redis

from conductor_actors.adapters.redis.connections.pipelines import Command, pipeline
from conductor_actors.adapters.redis.dead_letter_stream import (
    LETTER_BODY_BYTES,
    RedisDeadLetterQueue,
)
from conductor_actors.adapters.redis.events.event_source import (
    RedisSource,
    SourceOptions,
    Transport,
)
from conductor_actors.adapters.redis.key_names import DEAD_LETTERS_KEY
from conductor_actors.domain.intake import EventsBySession, Rejected
from conductor_actors.domain.intake_state import IntakeRules
from conductor_actors.ports import DeadLetter
from tests.support.event_samples import INVALID_EVENTS, REACTION
from tests.support.fences import take_ownership
from tests.support.ticking import TickingIntake
from tests.support.unusual_events import UNUSUAL_EVENTS

GOOD = b'{"sessionId":"good"}'
BODIES_PER_READ = 100  # fewer than Redis buffers for a slow subscriber
TRANSPORTS: tuple[Transport, ...] = ("streams", "pubsub")


def command(transport: Transport, name: str, body: bytes) -> Command:
    return ("PUBLISH", name, body) if transport == "pubsub" else ("XADD", name, "*", "data", body)


class Reading:
    """A source and an intake that read bodies as they are sent."""

    def __init__(self, url: str, transport: Transport) -> None:
        self._transport = transport
        self._source = RedisSource(url, SourceOptions(transport))
        self._intake = TickingIntake(IntakeRules())
        self.good = 0
        self._source.read()

    def send(self, client: redis.Redis, bodies: Sequence[tuple[str, bytes]]) -> list[Rejected]:
        """Send the bodies, with a good event after each; return the events that were rejected."""
        for first in range(0, len(bodies), BODIES_PER_READ):
            chunk = bodies[first : first + BODIES_PER_READ]
            both = [each for body in chunk for each in (body, (REACTION, GOOD))]
            pipeline(client, [command(self._transport, *each) for each in both])
            self._read(len(both))
        rejected: list[Rejected] = self._intake.rejected
        return rejected

    def _read(self, count: int) -> None:
        while count > 0:
            read = self._source.read()
            assert not read.gaps
            count -= len(read.entries)
            steps = self._intake.take_ticking(read.entries, read.watermark_ms)
            for step in (*steps, self._intake.flush()):
                if isinstance(step, EventsBySession):
                    self.good += len(step.get(("default", "good"), ()))

    def close(self) -> None:
        self._source.close()


@pytest.fixture
def reading(valkey_url: str, transport: Transport) -> Iterator[Reading]:
    with closing(Reading(valkey_url, transport)) as reading:
        yield reading


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_every_invalid_body_is_rejected_with_its_reason_and_every_valid_event_counts(
    reading: Reading, client: redis.Redis
) -> None:
    rejected = reading.send(client, [(name, body) for _, name, body, _ in INVALID_EVENTS])
    found = [(name, body, reason) for (_, _, name, body), reason in rejected]
    assert sorted(found) == sorted((name, body, reason) for _, name, body, reason in INVALID_EVENTS)
    assert reading.good == len(INVALID_EVENTS)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_no_unusual_body_is_rejected(reading: Reading, client: redis.Redis) -> None:
    assert reading.send(client, [(name, body) for _, name, body in UNUSUAL_EVENTS]) == []
    assert reading.good == len(UNUSUAL_EVENTS)


@pytest.mark.parametrize("transport", ["streams"])
def test_an_entry_without_a_body_is_rejected_by_its_id(
    reading: Reading, client: redis.Redis
) -> None:
    [entry_id] = pipeline(client, [("XADD", REACTION, "*", "body", GOOD)])
    [((ms, sequence, name, body), reason)] = reading.send(client, [(REACTION, GOOD)])
    assert (b"%d-%d" % (ms, sequence), name, body, reason) == (entry_id, REACTION, b"", "not_json")


@pytest.mark.parametrize("transport", ["streams"])
def test_every_invalid_body_becomes_a_dead_letter_with_its_origin(
    reading: Reading, client: redis.Redis, valkey_url: str
) -> None:
    rejected = reading.send(client, [(name, body) for _, name, body, _ in INVALID_EVENTS])
    with closing(RedisDeadLetterQueue(valkey_url, take_ownership(valkey_url))) as queue:
        queue.add([letter(each) for each in rejected])
    [letters] = pipeline(client, [("XRANGE", DEAD_LETTERS_KEY, "-", "+")])
    assert len(letters) == len(INVALID_EVENTS)
    for _, fields in letters:
        found = dict(zip(fields[::2], fields[1::2], strict=True))
        entry_id = found[b"entry_id"]
        [[(_, (_, body))]] = pipeline(client, [("XRANGE", found[b"source"], entry_id, entry_id)])
        assert found[b"body"] == body[:LETTER_BODY_BYTES]
        assert (found[b"source"].decode(), body, found[b"reason"].decode()) in EXPECTED


EXPECTED = {(name, body, reason) for _, name, body, reason in INVALID_EVENTS}


def letter(rejected: Rejected) -> DeadLetter:
    (ms, sequence, name, body), reason = rejected
    return DeadLetter(name, f"{ms}-{sequence}", reason, body)
