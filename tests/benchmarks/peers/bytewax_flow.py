"""The same job as a dataflow of bytewax: a source of streams, a stateful step, a sink of rows.

Each session is a logic of `stateful_batch`, notified at each tick; bytewax's own sliding windows
would fold each event into as many windows as a window has ticks. Settings as of `plain`.
"""

import os
import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import bytewax.operators as op
import msgspec
import psycopg
import redis
from bytewax.dataflow import Dataflow
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main

from conductor_actors.domain.events import DECODERS
from tests.benchmarks.peers.room import CHANNEL, INSERT, Body, Room, Row, message, say

TICK_S: Final = int(os.environ["CONDUCTOR_TICK_S"])
PAUSE: Final = timedelta(seconds=0.025)

Item = tuple[str, tuple[str, int, Body]]  # session; name, milliseconds, body

sessions: set[str] = set()  # to tell when the last row of a tick was written: one worker, one set


class Streams(StatelessSourcePartition[Item]):
    def __init__(self) -> None:
        self._client: Any = redis.Redis.from_url(os.environ["REDIS_URL"])
        self._positions: dict[str, Any] = dict.fromkeys(DECODERS, "0-0")
        self._events = 0
        self._told_s = time.monotonic()
        self._is_behind = False

    def next_batch(self) -> Iterable[Item]:
        items: list[Item] = []
        for raw_name, entries in self._client.xread(self._positions, count=1000):
            name = raw_name.decode()
            for entry_id, fields in entries:
                body = msgspec.json.decode(fields[b"data"])
                items.append((body["sessionId"], (name, int(entry_id.split(b"-")[0]), body)))
            self._positions[name] = entries[-1][0]
        self._is_behind = bool(items)
        self._tell(len(items))
        return items

    def next_awake(self) -> datetime | None:
        return None if self._is_behind else datetime.now(UTC) + PAUSE

    def _tell(self, events: int) -> None:
        self._events += events
        if time.monotonic() - self._told_s >= 1:
            say("events_routed", events=self._events)
            self._told_s, self._events = time.monotonic(), 0


class Source(DynamicSource[Item]):
    def build(self, step_id: str, worker_index: int, worker_count: int) -> Streams:
        del step_id, worker_index, worker_count
        return Streams()


class Logic(op.StatefulBatchLogic[tuple[str, int, Body], Row, None]):
    def __init__(self) -> None:
        self._room: Room | None = None
        self._next_s = (time.time() // TICK_S + 1) * TICK_S

    def on_batch(self, values: list[tuple[str, int, Body]]) -> tuple[Iterable[Row], bool]:
        if self._room is None:
            session_id = values[0][2]["sessionId"]
            self._room = Room(session_id)
            sessions.add(session_id)
        for name, at_ms, body in values:
            self._room.add(name, body, at_ms)
        return (), self.RETAIN

    def on_notify(self) -> tuple[Iterable[Row], bool]:
        at_s, self._next_s = self._next_s, self._next_s + TICK_S
        return [self._room.row(int(at_s * 1000))] if self._room else (), self.RETAIN

    def notify_at(self) -> datetime:
        return datetime.fromtimestamp(self._next_s, UTC)

    def snapshot(self) -> None:
        return None


class Rows(StatelessSinkPartition[tuple[str, Row]]):
    def __init__(self) -> None:
        self._client: Any = redis.Redis.from_url(os.environ["REDIS_URL"])
        self._database = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
        self._written: Counter[float] = Counter()

    def write_batch(self, items: list[tuple[str, Row]]) -> None:
        rows = [row for _, row in items]
        with self._database.transaction(), self._database.cursor() as cursor:
            cursor.executemany(INSERT, rows)
        with self._client.pipeline(transaction=False) as pipeline:
            for row in rows:
                pipeline.publish(CHANNEL, message(row))
            pipeline.execute()
        self._written.update(row[0] for row in rows)
        for at_s in [at_s for at_s, count in self._written.items() if count >= len(sessions)]:
            say("tick_completed", tick_at_ms=int(at_s * 1000), sessions=self._written.pop(at_s))


class Sink(DynamicSink[tuple[str, Row]]):
    def build(self, step_id: str, worker_index: int, worker_count: int) -> Rows:
        del step_id, worker_index, worker_count
        return Rows()


def main() -> None:
    flow = Dataflow("peer")
    events = op.input("streams", flow, Source())
    rows = op.stateful_batch("rooms", events, lambda _: Logic())
    op.output("rows", rows, Sink())
    say("service_started")
    run_main(flow)


if __name__ == "__main__":
    main()
