"""The limit: read events with hiredis fed by hand, decode each with msgspec, do nothing else.

`python -m tests.benchmarks.null streams URL EVENTS FIRST_ID`, or `… pubsub URL EVENTS`. Prints
`ready` when it listens, and at the end the CPU time it took as JSON. A process of its own.
"""

import gc
import json
import sys
import time
from typing import Any, Final

import msgspec

from tests.benchmarks.raw_redis import RawRedis, command

ENTRIES: Final = 1000
PASSES: Final = 5  # over the same entries: one takes so little time that anything disturbs it
GC_THRESHOLDS: Final = (500_000, 10, 10)  # the collector's own


class _Author(msgspec.Struct, gc=False):
    id: str | None = None


class _Message(msgspec.Struct, gc=False):
    id: str | None = None
    authorId: str | None = None
    author: _Author | None = None


class _Chat(msgspec.Struct, gc=False):
    sessionId: str
    message: _Message
    eventId: str | None = None
    userId: str | None = None


class _Vote(msgspec.Struct, gc=False):
    sessionId: str
    pollId: str
    eventId: str | None = None
    userId: str | None = None


class _Poll(msgspec.Struct, gc=False):
    id: str | None = None
    sessionId: str | None = None


class _Closed(msgspec.Struct, gc=False):
    poll: _Poll | None = None
    sessionId: str | None = None
    pollId: str | None = None
    eventId: str | None = None


class _Reaction(msgspec.Struct, gc=False):
    sessionId: str
    eventId: str | None = None
    userId: str | None = None


class _Sync(msgspec.Struct, gc=False):
    type: str | None = None
    sessionId: str | None = None
    eventId: str | None = None
    userId: str | None = None
    payload: msgspec.Raw = msgspec.Raw(b"null")


DECODERS: Final[dict[bytes, msgspec.json.Decoder[Any]]] = {
    b"platform.events.chat.message.v1": msgspec.json.Decoder(_Chat),
    b"platform.events.poll.vote.v1": msgspec.json.Decoder(_Vote),
    b"platform.events.poll.closed.v1": msgspec.json.Decoder(_Closed),
    b"platform.events.live.reaction.v1": msgspec.json.Decoder(_Reaction),
    b"platform.events.live.sync.v1": msgspec.json.Decoder(_Sync),
    b"sync-events": msgspec.json.Decoder(_Sync),
}


def read_streams(line: RawRedis, events: int, first_id: str) -> None:
    """Read that many entries of the streams, after an id."""
    positions: dict[bytes, str | bytes] = dict.fromkeys(DECODERS, first_id)
    while events > 0:
        where = (*positions, *positions.values())
        line.send(command("XREAD", "COUNT", ENTRIES, "STREAMS", *where))
        for name, entries in line.reply() or ():
            decode = DECODERS[name].decode
            for _, fields in entries:
                decode(fields[1])
            positions[name] = entries[-1][0]
            events -= len(entries)


def hear(line: RawRedis, events: int) -> None:
    """Hear that many messages of the channels."""
    while events > 0:
        _, name, body = line.reply()
        DECODERS[name].decode(body)
        events -= 1


def main() -> None:
    transport, url, events, *first_id = sys.argv[1:]
    gc.set_threshold(*GC_THRESHOLDS)
    passes = PASSES if transport == "streams" else 1
    with RawRedis(url) as line:
        if transport == "pubsub":
            line.pipeline(command("SUBSCRIBE", *DECODERS), len(DECODERS))
        print("ready", flush=True)
        began_s = time.process_time()
        for _ in range(passes):
            if transport == "pubsub":
                hear(line, int(events))
            else:
                read_streams(line, int(events), *first_id)
        print(json.dumps({"cpu_s": (time.process_time() - began_s) / passes}))


if __name__ == "__main__":
    main()
