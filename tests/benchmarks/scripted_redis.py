"""A Redis that answers by a script: the clock stands still, and events appear when they are due.

Its process is not the one whose instructions are counted, so what it does costs nothing there. On
top of the commands that the collector sends it knows three:

`CLOCK MS` sets the time. `FILL streams|hot|joins EVENTS SESSIONS SEED MS` adds events to streams,
from a time on. `FILL pubsub …` holds events back until `RELEASE` publishes them.
"""

import socketserver
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import hiredis

from conductor_actors.simulate import bulk
from conductor_actors.simulate.producer import LIVE
from tests.benchmarks import events as made
from tests.benchmarks.events import Event

READ_BYTES: Final = 1 << 18
FILL_SPAN_MS: Final = 4000  # the events of a fill are spread over it
FENCE_TOKEN: Final = b"1"
HOT_SESSION: Final = "hot"

_JOIN: Final = b'{"type":"user_join","sessionId":"bulk-%d","userId":"user-0"}'
_OK: Final = b"+OK\r\n"


class _Stream:
    """The entries that were not read, and how many there ever were."""

    def __init__(self) -> None:
        self.entries: deque[tuple[bytes, bytes]] = deque()  # id, and the reply that it is part of
        self.added = 0
        self.last_id = b"0-0"

    def add(self, entry_id: bytes, body: bytes) -> None:
        self.entries.append(
            (entry_id, _array(_bulk(entry_id), _array(_bulk(b"data"), _bulk(body))))
        )
        self.added += 1
        self.last_id = entry_id

    def info(self) -> bytes:
        first = _array(_bulk(self.entries[0][0]), _array()) if self.entries else b"$-1\r\n"
        fields = {
            b"length": _integer(len(self.entries)),
            b"entries-added": _integer(self.added),
            b"last-generated-id": _bulk(self.last_id),
            b"first-entry": first,
        }
        return _array(*(part for name, value in fields.items() for part in (_bulk(name), value)))

    def read(self, most: int) -> list[bytes]:
        return [self.entries.popleft()[1] for _ in range(min(most, len(self.entries)))]


class ScriptedRedis(socketserver.ThreadingTCPServer):
    """Listens on a free port, and has one state for all connections."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.now_ms = 0
        self.streams: defaultdict[bytes, _Stream] = defaultdict(_Stream)
        self.held: list[Event] = []
        self.header: bytes | None = None
        self.subscriber: _Connection | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.server_address[1]}"

    def fill(self, kind: bytes, events: int, sessions: int, seed: int, at_ms: int) -> None:
        found: Iterator[Event]
        if kind == b"joins":
            found = ((LIVE, _JOIN % number) for number in range(events))
        elif kind == b"hot":
            found = made.hot(events, HOT_SESSION, seed)
        else:
            found = bulk(events, sessions, seed)
        if kind == b"pubsub":
            self.held = [*found]
            return
        for number, (name, body) in enumerate(found):
            ms = at_ms + number * FILL_SPAN_MS // events
            self.streams[name.encode()].add(b"%d-%d" % (ms, number), body)


class _Connection(socketserver.BaseRequestHandler):
    """Answers commands one by one; those of a transaction at its end."""

    server: ScriptedRedis

    def handle(self) -> None:
        reader: Any = hiredis.Reader()
        self._queued: list[bytes] | None = None
        self._is_resp3 = False
        while received := self.request.recv(READ_BYTES):
            reader.feed(received)
            replies = []
            while (command := reader.gets()) is not False:
                replies.append(self._answer(command))
            self.request.sendall(b"".join(replies))

    def publish(self, events: list[Event]) -> None:
        messages = (
            self._push(_bulk(b"message"), _bulk(name.encode()), _bulk(body))
            for name, body in events
        )
        self.request.sendall(b"".join(messages))

    def _answer(self, command: list[bytes]) -> bytes:
        match command[0]:
            case b"MULTI":
                self._queued = []
                return _OK
            case b"EXEC":
                queued, self._queued = self._queued or [], None
                return _array(*queued)
        reply = self._reply(command)
        if self._queued is None:
            return reply
        self._queued.append(reply)
        return b"+QUEUED\r\n"

    def _reply(self, command: list[bytes]) -> bytes:
        name, *arguments = command
        handler = getattr(self, f"_run_{name.decode().lower()}", None)
        return handler(*arguments) if handler else _integer(1)

    def _run_time(self) -> bytes:
        seconds, ms = divmod(self.server.now_ms, 1000)
        return _array(_bulk(b"%d" % seconds), _bulk(b"%d" % (ms * 1000)))

    def _run_hello(self, version: bytes = b"") -> bytes:
        self._is_resp3 |= version == b"3"
        proto = _integer(3 if self._is_resp3 else 2)
        parts = _bulk(b"proto"), proto, _bulk(b"role"), _bulk(b"master")
        return b"%2\r\n" + b"".join(parts) if self._is_resp3 else _array(*parts)

    def _run_get(self, _: bytes) -> bytes:
        return _bulk(FENCE_TOKEN)

    def _run_hset(self, _: bytes, field: bytes, value: bytes, *__: bytes) -> bytes:
        if field == b"header":  # of the last checkpoint, which is compared before the next
            self.server.header = value
        return _integer(1)

    def _run_hget(self, *_: bytes) -> bytes:
        header = self.server.header
        return b"$-1\r\n" if header is None else _bulk(header)

    def _run_eval(self, *_: bytes) -> bytes:
        return _array(_bulk(FENCE_TOKEN))  # as scripts that check the fence return it

    def _run_xrange(self, *_: bytes) -> bytes:
        return _array()  # no directives were given before

    _run_xrevrange = _run_xrange

    def _run_xinfo(self, _: bytes, name: bytes) -> bytes:
        return self.server.streams[name].info()

    def _run_xread(self, _: bytes, most: bytes, __: bytes, *rest: bytes) -> bytes:
        streams, names = self.server.streams, rest[: len(rest) // 2]
        found = [(name, entries) for name in names if (entries := streams[name].read(int(most)))]
        if not found:
            return b"*-1\r\n"
        return _array(*(_array(_bulk(name), _array(*entries)) for name, entries in found))

    def _run_subscribe(self, *names: bytes) -> bytes:
        self.server.subscriber = self
        return b"".join(self._push(_bulk(b"subscribe"), _bulk(name), _integer(1)) for name in names)

    def _run_clock(self, ms: bytes) -> bytes:
        self.server.now_ms = int(ms)
        return _OK

    def _run_fill(self, kind: bytes, *numbers: bytes) -> bytes:
        self.server.fill(kind, *map(int, numbers))
        return _OK

    def _run_release(self) -> bytes:
        assert self.server.subscriber
        self.server.subscriber.publish(self.server.held)
        return _OK

    def _push(self, *items: bytes) -> bytes:
        """Return a message outside of the replies to commands."""
        return b"%c%d\r\n" % (b">" if self._is_resp3 else b"*", len(items)) + b"".join(items)


@contextmanager
def scripted_redis() -> Iterator[str]:
    """Run one on a thread until the block ends; the block gets its URL."""
    with ScriptedRedis() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()


def _bulk(value: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(value), value)


def _integer(value: int) -> bytes:
    return b":%d\r\n" % value


def _array(*items: bytes) -> bytes:
    return b"*%d\r\n" % len(items) + b"".join(items)
