"""Redis dies, restarts, stops answering, or continues with another clock."""

import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from time import monotonic
from urllib.parse import urlsplit

import pytest
import redis

from conductor_actors.adapters.embedded.server_process import free_port
from conductor_actors.adapters.embedded.servers import EmbeddedServers
from conductor_actors.adapters.redis.connections.client import REDIS_TIMEOUT_S, open_client
from conductor_actors.adapters.redis.connections.liveness import Deadlines
from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.dead_letter_stream import RedisDeadLetterQueue
from conductor_actors.adapters.redis.events.event_source import RedisSource, SourceOptions
from conductor_actors.adapters.redis.events.pubsub_listener import PubSubListener
from conductor_actors.adapters.redis.events.stream_reader import StreamReader
from conductor_actors.adapters.redis.events.subscription import Subscriptions
from conductor_actors.adapters.redis.ownership.lease import RedisLease
from conductor_actors.adapters.redis.updates.update_publisher import RedisUpdatePublisher
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.gaps import Gap
from conductor_actors.errors import Unavailable
from conductor_actors.ports import DeadLetter, ReadResult
from tests.adapters.redis.pubsub_messages import pop_bodies
from tests.support.event_samples import CHAT, SYNC
from tests.support.fences import take_ownership
from tests.support.score_rows import row

ALWAYS = float("inf")
SHORT_DEADLINES = Deadlines(quiet_s=0.02, pong_within_s=0.2, reconnect_within_s=0.02)


class RestartableValkey:
    """A Valkey that can be killed, and started again with the same port and data."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self._servers = EmbeddedServers(folder, lambda: port)
        self.url = self.start()

    def start(self) -> str:
        self.url = self._servers.start_valkey()
        return self.url

    def kill(self) -> None:
        with redis.Redis.from_url(self.url) as client:
            os.kill(client.info("server")["process_id"], signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        self._servers.stop()


@pytest.fixture
def server() -> Iterator[RestartableValkey]:
    with TemporaryDirectory() as folder:
        valkey = RestartableValkey(Path(folder))
        yield valkey
        valkey.stop()


class Proxy:
    """A TCP proxy that can stop forwarding, or rewrite what the server sends."""

    def __init__(self, url: str) -> None:
        self._server = urlsplit(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._silenced: set[socket.socket] = set()
        self._is_silent = False
        self._threads: list[Thread] = []
        self.rewrite: Callable[[bytes], bytes] = bytes
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        self._start(self._accept)

    def silence_all(self) -> None:
        """Forward nothing any more, not on new connections either."""
        self._is_silent = True

    def fall_silent(self) -> None:
        """Forward nothing more on the existing connections, and close none."""
        self._silenced = set(self._sockets)

    def close(self) -> None:
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in (self._listener, *self._sockets):
            each.close()

    def _start(self, run: Callable[..., None], *arguments: object) -> None:
        self._threads.append(Thread(target=run, args=arguments))
        self._threads[-1].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((self._server.hostname, self._server.port))
                self._sockets += [client, server]
                self._start(self._forward, client, server)
                self._start(self._forward, server, client)

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        is_reply = self._sockets.index(source) % 2
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if source not in self._silenced and not self._is_silent:
                    sink.sendall(self.rewrite(data) if is_reply else data)
            sink.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(valkey_url: str) -> Iterator[Proxy]:
    with closing(Proxy(valkey_url)) as proxy:
        yield proxy


def clock_ahead_by(ms: int) -> Callable[[bytes], bytes]:
    """Return a rewrite by which the server's clock is so much ahead."""

    def shift(time: re.Match[bytes]) -> bytes:
        return b"*2\r\n$10\r\n%d\r\n" % (int(time[1]) + ms // 1000)

    return lambda data: re.sub(rb"\*2\r\n\$10\r\n(\d{10})\r\n", shift, data)


def read_after_outage(source: RedisSource) -> ReadResult:
    until_s = monotonic() + 10
    while monotonic() < until_s:
        with suppress(Unavailable):
            return source.read()
    pytest.fail("it did not come back")


def receive(listener: PubSubListener, client: redis.Redis) -> tuple[list[bytes], list[Gap]]:
    """Publish until a message is received; return the messages and gaps."""
    heard, gaps = list[bytes](), list[Gap]()
    until_s = monotonic() + 10
    while not heard and monotonic() < until_s:
        client.publish(SYNC, b"after")
        part, missing = pop_bodies(listener)
        heard += part
        gaps += missing
    return heard, gaps


def test_publishing_fails_during_an_outage_and_works_after_it(server: RestartableValkey) -> None:
    fence = take_ownership(server.url)
    with (
        closing(RedisUpdatePublisher(server.url, fence)) as publisher,
        closing(RedisDeadLetterQueue(server.url, fence)) as queue,
    ):
        publisher.publish([row()])
        server.kill()
        for _ in range(2):
            with pytest.raises(Unavailable, match=r"^redis: .*(refused|closed|reset)"):
                publisher.publish([row()])
            with pytest.raises(Unavailable):
                queue.add([DeadLetter("a", "1-0", "not_json", b"")])
        server.start()
        publisher.publish([row()])
        queue.add([DeadLetter("a", "1-0", "not_json", b"")])


def test_a_lease_survives_a_restart_of_redis(server: RestartableValkey) -> None:
    with closing(RedisLease(server.url)) as lease:
        lease.acquire_or_renew()
        server.kill()
        with pytest.raises(Unavailable):
            lease.acquire_or_renew()
        with pytest.raises(Unavailable):
            lease.owner()
        server.start()
        lease.acquire_or_renew()
        assert lease.owner()


def test_a_source_reads_on_after_redis_was_killed(server: RestartableValkey) -> None:
    with ExitStack() as stack:
        source = stack.enter_context(closing(RedisSource(server.url, SourceOptions())))
        source.read()
        with redis.Redis.from_url(server.url) as client:
            for number in range(5000):
                client.xadd(CHAT, {"data": b"%d" % number})
        bodies = [entry[3] for entry in source.read().entries]
        server.kill()
        with pytest.raises(Unavailable):
            source.read()
        server.start()
        with redis.Redis.from_url(server.url) as client:
            client.xadd(CHAT, {"data": b"5000"})
        gaps = list[Gap]()
        while b"5000" not in bodies or not gaps:
            read = read_after_outage(source)
            bodies += [entry[3] for entry in read.entries]
            gaps += read.gaps
        assert bodies == [b"%d" % number for number in range(5001)]
        assert [gap[:3] for gap in gaps] == [("*", "reconnected", None)]


def test_a_source_can_be_created_before_redis_runs() -> None:
    source = RedisSource(f"redis://127.0.0.1:{free_port()}/0", SourceOptions("streams", ("*",)))
    for _ in range(2):
        with pytest.raises(Unavailable, match="Connection refused"):
            source.read()
    source.close()


def test_a_command_without_a_reply_times_out(proxy: Proxy) -> None:
    with closing(open_client(proxy.url, timeout_s=0.1)) as client:
        pipeline(client, [("PING",)])
        proxy.fall_silent()
        began_s = monotonic()
        with pytest.raises(Unavailable, match="Timeout"), mapped_errors():
            pipeline(client, [("PING",)])
        assert monotonic() - began_s < 2
        assert pipeline(client, [("ECHO", "a new connection")]) == [b"a new connection"]


def test_the_first_read_after_an_outage_times_out_sooner(
    proxy: Proxy, redis_client: redis.Redis
) -> None:
    with closing(RedisSource(proxy.url, SourceOptions("streams"))) as source:
        source.read()
        proxy.fall_silent()
        with pytest.raises(Unavailable, match="Timeout"):
            source.read()
        redis_client.xadd(CHAT, {"data": b"back"})
        assert [entry[3] for entry in read_after_outage(source).entries] == [b"back"]
        source._is_away = True
        proxy.silence_all()
        began_s = monotonic()
        with pytest.raises(Unavailable):
            source.read()
        assert monotonic() - began_s < REDIS_TIMEOUT_S - 1


def test_a_silently_dead_pubsub_connection_is_replaced(
    proxy: Proxy, redis_client: redis.Redis
) -> None:
    with closing(open_client(proxy.url)) as client:
        listener = PubSubListener(client, Subscriptions([SYNC]), 1000, SHORT_DEADLINES)
        listener.wait_subscribed(5)
        proxy.fall_silent()
        heard, gaps = receive(listener, redis_client)
        listener.close()
    assert set(heard) == {b"after"}
    assert [gap[:3] for gap in gaps] == [("*", "reconnected", None)]


def test_a_message_between_two_confirmations_of_a_subscription_is_received(
    proxy: Proxy, redis_client: redis.Redis
) -> None:
    early = b">3\r\n$7\r\nmessage\r\n$11\r\nsync-events\r\n$5\r\nearly\r\n"
    confirmation = b">3\r\n$10\r\npsubscribe"
    proxy.rewrite = lambda data: data.replace(confirmation, early + confirmation)
    with closing(open_client(proxy.url)) as client:
        listener = PubSubListener(
            client, Subscriptions([SYNC], ["*:a", "*:b"]), 1000, SHORT_DEADLINES
        )
        listener.wait_subscribed(5)
        heard, _ = pop_bodies(listener)
        redis_client.publish("x:b", b"")  # a pattern that is really there
        listener.close()
    assert heard == [b"early", b"early"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_listener_that_ended_by_a_bug_raises_an_error(
    proxy: Proxy, redis_client: redis.Redis
) -> None:
    proxy.rewrite = lambda data: re.sub(
        rb"^>3\r\n\$7\r\nmessage.*", b">1\r\n$7\r\nmessage\r\n", data, flags=re.DOTALL
    )
    with closing(open_client(proxy.url)) as client:
        listener = PubSubListener(client, Subscriptions([SYNC]), 1000, SHORT_DEADLINES)
        listener.wait_subscribed(5)
        with pytest.raises(RuntimeError, match="pub/sub thread"):
            receive(listener, redis_client)
        listener.close()


def test_a_clock_that_goes_back_delays_entries_but_loses_none(
    proxy: Proxy, redis_client: redis.Redis
) -> None:
    with closing(open_client(proxy.url)) as client:
        reader = StreamReader(client, "window", 60)
        proxy.rewrite = clock_ahead_by(1000)
        before = reader.read([CHAT, SYNC])
        proxy.rewrite = bytes
        for number in range(5):
            redis_client.xadd(CHAT if number % 2 else SYNC, {"data": b"%d" % number})
        entries, frontier, now_ms = reader.read([CHAT, SYNC])
        assert sorted(entry[3] for entry in entries) == [b"0", b"1", b"2", b"3", b"4"]
        assert frontier == before.frontier > (now_ms, 0)
        while frontier == before.frontier:
            entries, frontier, now_ms = reader.read([CHAT, SYNC])
            assert not entries
        assert frontier == (now_ms, 0)


def test_messages_are_delayed_by_a_clock_that_goes_back(
    proxy: Proxy, redis_client: redis.Redis
) -> None:
    with closing(RedisSource(proxy.url, SourceOptions())) as source:
        proxy.rewrite = clock_ahead_by(1000)
        released_ms = source.read().watermark_ms
        proxy.rewrite = bytes
        redis_client.publish(CHAT, b"waits")
        entries = list[Entry]()
        while not entries:
            read = source.read()
            entries += read.entries
            assert read.watermark_ms >= released_ms
    assert [entry[3] for entry in entries] == [b"waits"]
    assert released_ms <= entries[0][0] < read.watermark_ms
