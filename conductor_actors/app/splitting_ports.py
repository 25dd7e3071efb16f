"""What the splitter uses, opened from the settings."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple

from conductor_actors.adapters.redis.events.event_source import RedisSource
from conductor_actors.adapters.redis.ownership.lease import RedisLease
from conductor_actors.adapters.redis.partitions.block_writer import BlockWriter
from conductor_actors.adapters.redis.partitions.rewinds import RewindRequests
from conductor_actors.adapters.redis.partitions.splitter_checkpoints import SplitterCheckpoints
from conductor_actors.app.partition_urls import partition_redis_urls
from conductor_actors.app.source_options import source_options
from conductor_actors.domain.partitions.blocks import FIRST, Interval
from conductor_actors.domain.partitions.splitting import SplitRules
from conductor_actors.ports import EventSource, ReadResult
from conductor_actors.settings import Settings


def interval_of(read: ReadResult) -> Interval:
    """Return what a read says of all partitions."""
    return Interval(
        FIRST,
        (read.watermark_ms, 0),
        read.now_ms,
        tuple(read.gaps),
        tuple(read.clock_gaps),
        read.first_tick_ms,
        dict(read.directives),
    )


class SplitterPorts(NamedTuple):
    """The adapters of a splitter. `open_streams` opens a source that reads the streams again.

    It is None if events are in no streams. `has_messages` if some are only published.
    """

    source: RedisSource
    open_streams: Callable[[], EventSource] | None
    writer: BlockWriter
    rewinds: RewindRequests
    checkpoints: SplitterCheckpoints
    lease: RedisLease
    has_messages: bool


def split_rules(settings: Settings) -> SplitRules:
    """Return the rules of the splitter."""
    return SplitRules(settings.partitions, settings.intake_rules())


def open_splitter_ports(
    settings: Settings, redis_url: str, lease: RedisLease, to_close: ExitStack
) -> SplitterPorts:
    """Open the adapters; all but the lease are closed with the stack."""
    urls, count = partition_redis_urls(settings, redis_url), settings.partitions
    options = source_options(settings)
    streams = options._replace(transport="streams")
    source = RedisSource(redis_url, options)
    writer, rewinds = BlockWriter(urls, count), RewindRequests(urls, count)
    checkpoints = SplitterCheckpoints(redis_url, lease.fence)
    for port in (source, writer, rewinds, checkpoints):
        to_close.callback(port.close)
    transport = settings.transport
    return SplitterPorts(
        source,
        None if transport == "pubsub" else lambda: RedisSource(redis_url, streams),
        writer,
        rewinds,
        checkpoints,
        lease,
        has_messages=transport != "streams",
    )
