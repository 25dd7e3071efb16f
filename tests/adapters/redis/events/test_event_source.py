"""Events from a real Valkey, by both transports, for one tenant and many."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from threading import Thread

import pytest
import redis

from conductor_actors.adapters.redis.connections.pipelines import server_time_ms
from conductor_actors.adapters.redis.events.event_source import (
    RedisSource,
    SourceOptions,
    Transport,
)
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.intake_state import IntakeRules
from conductor_actors.ports import ReadResult
from tests.support.event_samples import CHAT, COMMANDS, EVENT_NAMES, REACTION, SYNC, VOTE
from tests.support.ticking import TickingIntake

MAX_READS = 400  # ten seconds
INVALID_TENANTS = (
    "ACME",
    "default",
    "",
    "-acme",
    "a:b",
    "acme ",
    "acme\n",
    "a" * 64,
    b"\xff",
    b"acm\xc3\xa9",
)

Opened = Callable[[SourceOptions], RedisSource]


@pytest.fixture
def opened(valkey_url: str) -> Iterator[Opened]:
    """Return a function that opens a source and reads once, so that it has subscribed."""
    with ExitStack() as stack:

        def make(options: SourceOptions) -> RedisSource:
            source = RedisSource(valkey_url, options)
            stack.callback(source.close)
            source.read()
            return source

        yield make


def read_until(source: RedisSource, count: int) -> list[Entry]:
    """Read so many entries, checking the promises of every read."""
    entries: list[Entry] = []
    watermark_ms = 0
    for _ in range(MAX_READS):
        read = source.read()
        assert read.entries == sorted(read.entries)
        assert all(watermark_ms <= entry[0] for entry in read.entries)
        assert read.watermark_ms >= watermark_ms
        watermark_ms = read.watermark_ms
        entries += read.entries
        if len(entries) >= count:
            return entries
    pytest.fail(f"{len(entries)} entries of {count} came")


def names_and_bodies(entries: Sequence[Entry]) -> list[tuple[str, bytes]]:
    return [entry[2:] for entry in entries]


def key(tenant: str | bytes, name: str) -> bytes:
    prefix = tenant if isinstance(tenant, bytes) else tenant.encode()
    return prefix + b":" + name.encode()


def test_every_name_is_read_by_both_transports(opened: Opened, redis_client: redis.Redis) -> None:
    source = opened(SourceOptions())
    for name in EVENT_NAMES:
        redis_client.xadd(name, {"data": b"stream"})
        redis_client.publish(name, b"pubsub")
    entries = read_until(source, 2 * len(EVENT_NAMES))
    expected = [(name, body) for name in EVENT_NAMES for body in (b"stream", b"pubsub")]
    assert sorted(names_and_bodies(entries)) == sorted(expected)


@pytest.mark.parametrize("transport", ["streams", "pubsub"])
def test_one_transport_can_be_read_alone(
    opened: Opened, redis_client: redis.Redis, transport: Transport
) -> None:
    source = opened(SourceOptions(transport=transport))
    for _ in range(3):
        redis_client.publish(SYNC, b"pubsub")
        redis_client.xadd(SYNC, {"data": b"streams"})
    entries = [*read_until(source, 3), *source.read().entries, *source.read().entries]
    assert names_and_bodies(entries) == [(SYNC, transport.encode())] * 3


@pytest.mark.parametrize("transport", ["both", "streams", "pubsub"])
def test_commands_are_read_from_their_stream_by_every_transport(
    opened: Opened, valkey_url: str, redis_client: redis.Redis, transport: Transport
) -> None:
    source = opened(SourceOptions(transport=transport, tenants=("acme",)))
    for _ in range(2):
        redis_client.publish(COMMANDS, b"published")
        redis_client.publish(f"acme:{COMMANDS}", b"published")
        redis_client.xadd(COMMANDS, {"data": b"stream"})
        redis_client.xadd(f"acme:{COMMANDS}", {"data": b"stream"})
    entries = [*read_until(source, 4), *source.read().entries, *source.read().entries]
    assert sorted(names_and_bodies(entries)) == sorted(
        [(COMMANDS, b"stream"), (f"acme:{COMMANDS}", b"stream")] * 2
    )
    position = source.position()
    source.close()
    redis_client.xadd(COMMANDS, {"data": b"next"})
    with closing(RedisSource(valkey_url, SourceOptions(transport, ("acme",)))) as resumed:
        resumed.resume(position)
        assert names_and_bodies(read_until(resumed, 1)) == [(COMMANDS, b"next")]


def test_a_message_has_the_time_of_its_receipt_by_the_clock_of_redis(
    opened: Opened, redis_client: redis.Redis
) -> None:
    def now_ms() -> int:
        return server_time_ms(redis_client.time())

    source = opened(SourceOptions())
    began_ms = source.read().now_ms
    while now_ms() < began_ms + 20:
        pass
    before_ms = now_ms()
    redis_client.publish(CHAT, b"now")
    [(at_ms, *_)] = read_until(source, 1)
    assert before_ms - 1 <= at_ms < source.read().now_ms


def test_entries_of_both_transports_are_in_one_order_and_none_is_late(
    opened: Opened, redis_client: redis.Redis
) -> None:
    source = opened(SourceOptions())

    def send() -> None:
        for number in range(2000):
            redis_client.publish(CHAT, b"pubsub %d" % number)
            redis_client.xadd(SYNC, {"data": b"stream %d" % number})

    sender = Thread(target=send)
    sender.start()
    bodies = [body for _, body in names_and_bodies(read_until(source, 4000))]
    sender.join()
    for transport in (b"pubsub", b"stream"):
        own = [body for body in bodies if body.startswith(transport)]
        assert own == [b"%s %d" % (transport, number) for number in range(2000)]


def test_no_message_is_lost_while_streams_are_far_behind(
    opened: Opened, redis_client: redis.Redis
) -> None:
    with redis_client.pipeline(transaction=False) as pipeline:
        for number in range(10_000):
            pipeline.xadd(SYNC, {"data": b"stream"}, id=f"1-{number + 1}")
        pipeline.execute()
    source = opened(SourceOptions(start="earliest"))
    with redis_client.pipeline(transaction=False) as pipeline:
        for _ in range(5000):
            pipeline.publish(SYNC, b"pubsub")
        pipeline.execute()
    received = 0
    while received < 5000:
        received += sum(body == b"pubsub" for _, body in names_and_bodies(read_until(source, 1)))
    assert received == 5000


def test_a_key_of_the_wrong_type_stops_neither_other_streams_nor_messages(
    opened: Opened, redis_client: redis.Redis
) -> None:
    source = opened(SourceOptions())
    redis_client.set(SYNC, "no stream")
    redis_client.xadd(VOTE, {"data": b"read"})
    redis_client.publish(CHAT, b"received")
    redis_client.publish(SYNC, b"also received")
    assert sorted(names_and_bodies(read_until(source, 3))) == [
        (CHAT, b"received"),
        (VOTE, b"read"),
        (SYNC, b"also received"),
    ]


@pytest.mark.parametrize("start", ["window", "latest"])
def test_the_first_read_sets_the_first_tick_after_the_entries_that_fill_the_windows(
    valkey_url: str, redis_client: redis.Redis, start: str
) -> None:
    del redis_client
    options = SourceOptions("streams", start="window" if start == "window" else "latest")
    source = RedisSource(valkey_url, options)
    first, second = source.read(), source.read()
    source.close()
    assert first.first_tick_ms == first.now_ms
    assert second.first_tick_ms is None


def test_reading_from_the_earliest_entry_sets_no_first_tick(valkey_url: str) -> None:
    source = RedisSource(valkey_url, SourceOptions("streams", start="earliest"))
    assert source.read().first_tick_ms is None
    source.close()


@pytest.mark.parametrize("tenants", [("acme", "globex"), ("*",), ("*", "acme")])
def test_each_event_of_each_tenant_is_read_once_by_both_transports(
    opened: Opened, redis_client: redis.Redis, tenants: Sequence[str]
) -> None:
    names = [f"{tenant}{name}" for tenant in ("acme:", "globex:", "") for name in EVENT_NAMES]
    for name in names:
        redis_client.xadd(name, {"data": b"found by"}, id="1-1")
    source = opened(SourceOptions(tenants=tenants))
    for name in names:
        redis_client.xadd(name, {"data": b"stream"})
        redis_client.publish(name, b"pubsub")
    entries = [*read_until(source, 2 * len(names)), *source.read().entries]
    for transport in (b"stream", b"pubsub"):
        assert sorted(name for _, _, name, body in entries if body == transport) == sorted(names)


@pytest.mark.parametrize("tenants", [("acme",), ("*",)])
def test_names_without_a_valid_tenant_are_not_read(
    opened: Opened, redis_client: redis.Redis, tenants: Sequence[str]
) -> None:
    redis_client.lpush("listed:sync-events", "no stream")
    source = opened(SourceOptions(tenants=tenants, start="earliest"))
    others = [key(tenant, name) for tenant in INVALID_TENANTS for name in (SYNC, CHAT)]
    others += [b"acme:other", b"acme:sync-events:x", b"acmesync-events", b"acme:SYNC-EVENTS"]
    for other in others:
        redis_client.xadd(other, {"data": b"x"})
        redis_client.publish(other, b"x")
    source._names._scanned_s = float("-inf")
    redis_client.xadd("acme:sync-events", {"data": b"last"})
    assert names_and_bodies(read_until(source, 1)) == [("acme:sync-events", b"last")]


def test_only_named_tenants_are_read(opened: Opened, redis_client: redis.Redis) -> None:
    source = opened(SourceOptions(tenants=("acme",)))
    for tenant in ("globex", "acme"):
        redis_client.publish(f"{tenant}:{CHAT}", b"x")
        redis_client.xadd(f"{tenant}:{CHAT}", {"data": b"x"})
    assert names_and_bodies(read_until(source, 2)) == [(f"acme:{CHAT}", b"x")] * 2


def test_the_tenant_comes_from_the_name_alone(opened: Opened, redis_client: redis.Redis) -> None:
    source = opened(SourceOptions(tenants=("acme",)))
    body = b'{"sessionId":"s1","tenantId":"globex","tenant":"globex"}'
    redis_client.publish(f"acme:{REACTION}", body)
    redis_client.xadd(REACTION, {"data": body, "tenant": "globex"})
    intake = TickingIntake(IntakeRules())
    assert list(intake.take_ticking(read_until(source, 2))) == []
    assert set(intake.flush()) == {("acme", "s1"), ("default", "s1")}


def test_a_tenant_that_floods_loses_messages_and_other_tenants_lose_none(
    opened: Opened, redis_client: redis.Redis
) -> None:
    source = opened(SourceOptions("pubsub", tenants=("flood", "quiet"), pubsub_limit=1000))
    with redis_client.pipeline(transaction=False) as pipeline:
        for number in range(5000):
            pipeline.publish(f"flood:{CHAT}", b"%d" % number)
            if number % 500 == 0:
                pipeline.publish(f"quiet:{CHAT}", b"%d" % number)
        pipeline.publish(f"quiet:{CHAT}", b"last")
        pipeline.execute()
    entries, lost = list[Entry](), 0
    while b"last" not in {body for *_, body in entries}:
        read: ReadResult = source.read()
        entries += read.entries
        assert {(gap.tenant, gap.reason) for gap in read.gaps} <= {("flood", "flooded")}
        lost += sum(gap.lost or 0 for gap in read.gaps)
    quiet = [entry for entry in entries if entry[2].startswith("quiet")]
    assert len(quiet) == 11
    assert lost == 5000 - (len(entries) - 11) > 0


@pytest.mark.parametrize("transport", ["both", "streams"])
def test_an_idle_source_reads_some_times_a_second_and_once_at_each_whole_second(
    opened: Opened, transport: Transport
) -> None:
    source = opened(SourceOptions(transport))
    began_ms = source.read().now_ms
    reads_ms = [began_ms]
    while reads_ms[-1] < began_ms + 3000:
        reads_ms.append(source.read().now_ms)
    assert len(reads_ms) <= 30
    first_of_seconds_ms = {ms // 1000: ms % 1000 for ms in reversed(reads_ms[1:])}
    assert min(first_of_seconds_ms.values()) < 25


def test_closing_closes_every_connection(valkey_url: str, redis_client: redis.Redis) -> None:
    source = RedisSource(f"{valkey_url}?client_name=closing", SourceOptions())
    source.read()
    source.read()

    def connections() -> list[object]:
        return [each for each in redis_client.client_list() if each["name"] == "closing"]

    assert len(connections()) == 2
    source.close()
    for _ in range(1000):  # the server notices in its own time
        if not connections():
            return
    pytest.fail("connections are left")
