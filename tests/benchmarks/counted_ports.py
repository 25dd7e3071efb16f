"""The ports of the collector that is counted: the real adapters as far as they need no server."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Self

import psycopg
from psycopg._copy_base import BinaryFormatter
from psycopg.adapt import Transformer

from conductor_actors.actors.title_writer import TitleSinks
from conductor_actors.adapters.postgres import metrics_table
from conductor_actors.adapters.postgres.metrics_table import MetricsTable
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.adapters.redis.events.event_source import RedisSource, SourceOptions
from conductor_actors.adapters.redis.ownership.checkpoint_store import RedisCheckpointStore
from conductor_actors.adapters.redis.ownership.fence import Fence
from conductor_actors.adapters.redis.updates.update_publisher import RedisUpdatePublisher
from conductor_actors.app.collector_ports import Ports
from conductor_actors.app.sources import WrappedSource
from conductor_actors.ports import ReadResult
from tests.benchmarks.scripted_redis import FENCE_TOKEN
from tests.support.fakes.memory_actions import MemoryActionSender
from tests.support.fakes.memory_catalog import MemoryCatalog
from tests.support.fakes.memory_dead_letters import MemoryDeadLetterQueue
from tests.support.fakes.memory_introspection_channel import MemoryIntrospectionChannel
from tests.support.fakes.memory_lease import MemoryLease
from tests.support.fakes.memory_outbox import MemoryOutbox
from tests.support.fakes.memory_policy import MemoryPolicyStore
from tests.support.fakes.memory_retention import MemoryRetention
from tests.support.fakes.memory_titles import MemoryTitleOutbox, MemoryTitleTable


class SwitchedSource(WrappedSource):
    """Reads streams, or after `switch` pub/sub; counts what it reads."""

    def __init__(self, url: str) -> None:
        super().__init__(RedisSource(url, SourceOptions("streams")))
        self._url = url
        self.events = 0
        self.watermark_ms = 0

    def switch(self) -> None:
        """Subscribe to the channels; read no streams from now on."""
        self._source = RedisSource(self._url, SourceOptions("pubsub"))

    def read(self) -> ReadResult:
        read = self._source.read()
        assert not read.gaps, read.gaps
        self.events += len(read.entries)
        self.watermark_ms = read.watermark_ms
        return read


class _Connection:
    """A connection of psycopg, its cursor and its COPY. Rows are encoded, but not sent."""

    def __init__(self) -> None:
        self._formatter = BinaryFormatter(Transformer())
        self.rowcount = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._formatter.end()

    def cursor(self) -> Self:
        return self

    def execute(self, _: object, values: Sequence[Any] = ()) -> None:
        """Execute nothing: few rows begin or end an anomaly or a session."""
        self._values = values

    def fetchall(self) -> list[tuple[str, str, str, bool]]:
        """Return the sessions that the last statement stored, as live."""
        return [(*session, True) for session in zip(*self._values[:3], strict=True)]

    def copy(self, _: object) -> Self:
        self._formatter, self.rowcount = BinaryFormatter(Transformer()), 0
        return self

    def set_types(self, types: Sequence[str]) -> None:
        oids = [psycopg.adapters.types.get_oid(each) for each in types]
        self._formatter.transformer.set_dumper_types(oids, self._formatter.format)

    def write_row(self, row: Sequence[Any]) -> None:
        self._formatter.write_row(row)
        self.rowcount += 1


class EncodingRowStore(PostgresRowStore):
    """Encodes rows for a table that has none of them."""

    def __init__(self) -> None:
        super().__init__("")
        vars(metrics_table)["transaction"] = lambda *_: nullcontext()
        connection: Any = _Connection()
        self._encoded = MetricsTable(connection, 0.0)

    @contextmanager
    def _connected(self) -> Iterator[MetricsTable]:
        yield self._encoded


def counted_ports(url: str, source: SwitchedSource) -> Ports:
    fence = Fence()
    fence.token = FENCE_TOKEN
    return Ports(
        source,
        EncodingRowStore(),
        RedisUpdatePublisher(url, fence),
        MemoryDeadLetterQueue(),
        MemoryRetention(),
        MemoryLease(),
        MemoryOutbox(),
        RedisCheckpointStore(url, fence),
        MemoryIntrospectionChannel(),
        MemoryActionSender(),
        MemoryPolicyStore(),
        MemoryCatalog(),
        TitleSinks(MemoryTitleTable(), MemoryTitleOutbox()),
    )
