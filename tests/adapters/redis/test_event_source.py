"""Events from a real Valkey, by both transports, for one tenant and many."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from threading import Thread

import pytest
import redis

from conductor_actors.adapters.redis.event_source import RedisSource, SourceOptions, Transport
from conductor_actors.domain.events import DECODERS
from conductor_actors.domain.intake import Entry, IntakeRules
from conductor_actors.ports import Read
from tests.support.hostile import CHAT, NAMES, REACTION, SYNC, VOTE
from tests.support.ticking import TickingIntake

MOST_READS = 400  # ten seconds, should something never come
NO_TENANTS = (
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
def opened(valkey_url: str, redis_client: redis.Redis) -> Iterator[Opened]:
    """Open sources that have subscribed and begun."""
    del redis_client  # for its empty database
    with ExitStack() as stack:

        def make(options: SourceOptions) -> RedisSource:
            source = RedisSource(valkey_url, options)
            stack.callback(source.close)
            source.read()
            return source

        yield make


def read_until(source: RedisSource, count: int) -> list[Entry]:
    """Read so many entries, holding every read to its promises."""
    entries: list[Entry] = []
    watermark_ms = 0
    for _ in range(MOST_READS):
        read = source.read()
        assert read.entries == sorted(read.entries)
        assert all(watermark_ms <= entry[0] for entry in read.entries)
        assert read.watermark_ms >= watermark_ms
        watermark_ms = read.watermark_ms
        entries += read.entries
        if len(entries) >= count:
            return entries
    pytest.fail(f"{len(entries)} entries of {count} came")


def said(entries: Sequence[Entry]) -> list[tuple[str, bytes]]:
    return [entry[2:] for entry in entries]


def key(tenant: str | bytes, name: str) -> bytes:
    prefix = tenant if isinstance(tenant, bytes) else tenant.encode()
    return prefix + b":" + name.encode()


def test_every_name_is_read_by_both_transports(opened: Opened, redis_client: redis.Redis) -> None:
    source = opened(SourceOptions())
    for name in NAMES:
        redis_client.xadd(name, {"data": b"stream"})
        redis_client.publish(name, b"pubsub")
    entries = read_until(source, 12)
    expected = [(name, body) for name in DECODERS for body in (b"stream", b"pubsub")]
    assert sorted(said(entries)) == sorted(expected)


@pytest.mark.parametrize("transport", ["streams", "pubsub"])
def test_one_transport_alone_is_read_when_asked(
    opened: Opened, redis_client: redis.Redis, transport: Transport
) -> None:
    source = opened(SourceOptions(transport=transport))
    for _ in range(3):
        redis_client.publish(SYNC, b"pubsub")
        redis_client.xadd(SYNC, {"data": b"streams"})
    entries = [*read_until(source, 3), *source.read().entries, *source.read().entries]
    assert said(entries) == [(SYNC, transport.encode())] * 3


def test_a_message_has_the_time_of_its_reading_by_the_clock_of_redis(
    opened: Opened, redis_client: redis.Redis
) -> None:
    def now_ms() -> int:
        seconds, micros = redis_client.time()
        return int(seconds) * 1000 + int(micros) // 1000

    source = opened(SourceOptions())
    began_ms = source.read().now_ms
    while now_ms() < began_ms + 20:
        pass
    before_ms = now_ms()
    redis_client.publish(CHAT, b"now")
    [(at_ms, *_)] = read_until(source, 1)
    assert before_ms - 1 <= at_ms < source.read().now_ms


def test_both_transports_come_in_one_order_and_nothing_comes_too_late(
    opened: Opened, redis_client: redis.Redis
) -> None:
    source = opened(SourceOptions())

    def send() -> None:
        for number in range(2000):
            redis_client.publish(CHAT, b"pubsub %d" % number)
            redis_client.xadd(SYNC, {"data": b"stream %d" % number})

    sender = Thread(target=send)
    sender.start()
    bodies = [body for _, body in said(read_until(source, 4000))]
    sender.join()
    for transport in (b"pubsub", b"stream"):
        own = [body for body in bodies if body.startswith(transport)]
        assert own == [b"%s %d" % (transport, number) for number in range(2000)]


def test_messages_are_heard_while_streams_are_far_behind(
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
    bodies = [body for _, body in said(read_until(source, 13_000))]
    assert bodies == [b"stream"] * 8000 + [b"pubsub"] * 5000


def test_a_name_that_is_no_stream_stops_neither_other_streams_nor_messages(
    opened: Opened, redis_client: redis.Redis
) -> None:
    source = opened(SourceOptions())
    redis_client.set(SYNC, "no stream")
    redis_client.xadd(VOTE, {"data": b"read"})
    redis_client.publish(CHAT, b"heard")
    redis_client.publish(SYNC, b"heard, too")
    assert sorted(said(read_until(source, 3))) == [
        (CHAT, b"heard"),
        (VOTE, b"read"),
        (SYNC, b"heard, too"),
    ]


@pytest.mark.parametrize("start", ["window", "latest"])
def test_the_first_read_says_that_what_came_before_makes_no_rows(
    valkey_url: str, redis_client: redis.Redis, start: str
) -> None:
    del redis_client
    options = SourceOptions("streams", start="window" if start == "window" else "latest")
    source = RedisSource(valkey_url, options)
    first, second = source.read(), source.read()
    source.close()
    assert first.first_tick_ms == first.now_ms
    assert second.first_tick_ms is None


def test_from_the_earliest_entry_on_every_row_is_made(valkey_url: str) -> None:
    source = RedisSource(valkey_url, SourceOptions("streams", start="earliest"))
    assert source.read().first_tick_ms is None
    source.close()


@pytest.mark.parametrize("tenants", [("acme", "globex"), ("*",), ("*", "acme")])
def test_tenants_are_read_by_both_transports_each_event_once(
    opened: Opened, redis_client: redis.Redis, tenants: Sequence[str]
) -> None:
    names = [f"{tenant}{name}" for tenant in ("acme:", "globex:", "") for name in NAMES]
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
def test_names_of_no_tenant_are_not_read(
    opened: Opened, redis_client: redis.Redis, tenants: Sequence[str]
) -> None:
    redis_client.lpush("listed:sync-events", "no stream")
    source = opened(SourceOptions(tenants=tenants, start="earliest"))
    others = [key(tenant, name) for tenant in NO_TENANTS for name in (SYNC, CHAT)]
    others += [b"acme:other", b"acme:sync-events:x", b"acmesync-events", b"acme:SYNC-EVENTS"]
    for other in others:
        redis_client.xadd(other, {"data": b"x"})
        redis_client.publish(other, b"x")
    source._names._look_s = float("-inf")
    redis_client.xadd("acme:sync-events", {"data": b"last"})
    assert said(read_until(source, 1)) == [("acme:sync-events", b"last")]


def test_only_tenants_that_are_named_are_read(opened: Opened, redis_client: redis.Redis) -> None:
    source = opened(SourceOptions(tenants=("acme",)))
    for tenant in ("globex", "acme"):
        redis_client.publish(f"{tenant}:{CHAT}", b"x")
        redis_client.xadd(f"{tenant}:{CHAT}", {"data": b"x"})
    assert said(read_until(source, 2)) == [(f"acme:{CHAT}", b"x")] * 2


def test_the_tenant_comes_from_the_key_alone(opened: Opened, redis_client: redis.Redis) -> None:
    source = opened(SourceOptions(tenants=("acme",)))
    body = b'{"sessionId":"s1","tenantId":"globex","tenant":"globex"}'
    redis_client.publish(f"acme:{REACTION}", body)
    redis_client.xadd(REACTION, {"data": body, "tenant": "globex"})
    intake = TickingIntake(IntakeRules())
    assert list(intake.take_ticking(read_until(source, 2))) == []
    assert set(intake.flush()) == {("acme", "s1"), ("default", "s1")}


def test_a_flood_of_one_tenant_is_dropped_and_reported_while_others_lose_nothing(
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
    while not entries or entries[-1][3] != b"last":
        read: Read = source.read()
        entries += read.entries
        assert {(gap.tenant, gap.reason) for gap in read.gaps} <= {("flood", "flooded")}
        lost += sum(gap.lost or 0 for gap in read.gaps)
    quiet = [entry for entry in entries if entry[2].startswith("quiet")]
    assert len(quiet) == 11
    assert lost == 5000 - (len(entries) - 11) > 0


def test_closing_lets_go_of_every_connection(valkey_url: str, redis_client: redis.Redis) -> None:
    source = RedisSource(f"{valkey_url}?client_name=closing", SourceOptions())
    source.read()
    source.read()

    def ours() -> list[object]:
        return [each for each in redis_client.client_list() if each["name"] == "closing"]

    assert len(ours()) == 2
    source.close()
    for _ in range(1000):  # the server notices in its own time
        if not ours():
            return
    pytest.fail("connections are left")
