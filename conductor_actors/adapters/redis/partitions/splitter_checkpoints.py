"""The last checkpoints of the splitter, so that it can go on, and go back."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import msgspec

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.pipelines import Command, pipeline
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.key_names import (
    CHECKPOINT_KEY,
    CHECKPOINT_SESSIONS_KEY,
    NAMESPACE_NOTE,
    SPLITTER_KEY,
)
from conductor_actors.adapters.redis.ownership.fence import Fence
from conductor_actors.domain.merging import Frontier
from conductor_actors.domain.partitions.splitting import SplitterState
from conductor_actors.errors import ConfigError

SPLITTER_CHECKPOINT_VERSION: Final = 1
# A reader can go back by so many intervals of 5 s; by fewer if limits need the sessions of tenants.
MAX_SPLITTER_CHECKPOINTS: Final = 240
MIN_SPLITTER_CHECKPOINTS: Final = 8
MAX_SPLITTER_CHECKPOINTS_BYTES: Final = 64 << 20
CHECKPOINTS_PER_PAGE: Final = 8


class SplitterCheckpoint(msgspec.Struct, frozen=True, array_like=True):
    """The position of the source, and the state after all reads up to there."""

    position: bytes
    state: SplitterState


class _UnreadableCheckpointError(ConfigError):
    """A checkpoint is damaged, or another version wrote it."""


_encode: Final = msgspec.msgpack.Encoder().encode
_checkpoint: Final = msgspec.msgpack.Decoder(SplitterCheckpoint).decode


class SplitterCheckpoints:
    """A stream of checkpoints. Only the owner may add one."""

    def __init__(self, url: str, fence: Fence) -> None:
        self._client = open_client(url)
        self._fence = fence

    def newest(self) -> SplitterCheckpoint | None:
        """Return the newest checkpoint, or None; raise `ConfigError` if it can't be read."""
        return next(self._newest_first(1), None)

    def newest_before(self, moment: Frontier) -> SplitterCheckpoint | None:
        """Return the newest whose frontier is not after a moment.

        If there is none, return the one with the least frontier. Those before one that can't be
        read do not count.
        """
        least: SplitterCheckpoint | None = None
        with suppress(_UnreadableCheckpointError):
            for checkpoint in self._newest_first(CHECKPOINTS_PER_PAGE):
                if least is None or checkpoint.state.frontier < least.state.frontier:
                    least = checkpoint
                if least.state.frontier <= moment:
                    break
        return least

    def commit(self, checkpoint: SplitterCheckpoint) -> None:
        """Add a checkpoint; raise `OwnershipLost` if another process is the owner."""
        with mapped_errors():
            self._fence.transaction(self._client, [_xadd(checkpoint)])

    def commit_first(self, checkpoint: SplitterCheckpoint) -> None:
        """Add a checkpoint in place of that of a single collector, which is deleted."""
        delete: Command = ("DEL", CHECKPOINT_KEY, CHECKPOINT_SESSIONS_KEY)
        with mapped_errors():
            self._fence.transaction(self._client, [_xadd(checkpoint), delete])

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _newest_first(self, page_size: int) -> Iterator[SplitterCheckpoint]:
        last = "+"
        while True:
            command: Command = ("XREVRANGE", SPLITTER_KEY, last, "-", "COUNT", page_size)
            with mapped_errors():
                [page] = pipeline(self._client, [command])
            yield from map(_decoded, page)
            if len(page) < page_size:
                return
            last = f"({page[-1][0].decode()}"


def _xadd(checkpoint: SplitterCheckpoint) -> Command:
    data = _encode(checkpoint)
    fitting = MAX_SPLITTER_CHECKPOINTS_BYTES // len(data)
    most = max(MIN_SPLITTER_CHECKPOINTS, min(MAX_SPLITTER_CHECKPOINTS, fitting))
    fields = "version", SPLITTER_CHECKPOINT_VERSION, "data", data
    return "XADD", SPLITTER_KEY, "MAXLEN", most, "*", *fields


def _decoded(raw_entry: Any) -> SplitterCheckpoint:  # noqa: ANN401 - as parsed by hiredis
    _, fields = raw_entry
    found = dict(zip(fields[::2], fields[1::2], strict=True))
    version = found.get(b"version", b"none")
    if version != b"%d" % SPLITTER_CHECKPOINT_VERSION:
        raise _unreadable(f"is of format {version.decode('ascii', 'replace')}, not this version's")
    try:
        return _checkpoint(found[b"data"])
    except (msgspec.MsgspecError, LookupError):
        raise _unreadable("can't be read") from None


def _unreadable(what: str) -> ConfigError:
    return _UnreadableCheckpointError(
        f"REDIS_URL: a checkpoint in {SPLITTER_KEY} {what}; run the version that wrote it, or "
        f"delete {SPLITTER_KEY} ({NAMESPACE_NOTE}): reading then begins as CONDUCTOR_START says, "
        "and what came between is lost"
    )
