"""A crowd of Socket.IO clients in a process of its own: `python -m tests.benchmarks.crowd --help`.

Each is the least that a client can be, so that it is the service that is measured. Prints `ready`
when all are subscribed, and when its time is over what it has received, as a JSON document.
"""

import argparse
import asyncio
import json
import re
import resource
import socket
import statistics
import time
from enum import Enum, auto
from functools import partial
from typing import Final, cast

from tests.dashboard.raw import HANDSHAKE, SMALL, text_frame

PING: Final = b"\x81\x012"
PONG: Final = text_frame("3")
SENT_AT: Final = re.compile(rb'"eventId":"(\d+\.\d+)"')  # the publisher puts the time there


class Stage(Enum):
    OPENING = auto()
    JOINING = auto()
    SUBSCRIBED = auto()


class Listener(asyncio.Protocol):
    """A client that notes how long each update was under way, or that stops reading."""

    def __init__(self, session: str, delays_s: list[float], *, is_deaf: bool) -> None:
        self._session = session
        self._delays_s = delays_s
        self._is_deaf = is_deaf
        self.stage = Stage.OPENING
        self.subscribed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._is_deaf:
            line: socket.socket = transport.get_extra_info("socket")
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        self._transport.write(HANDSHAKE.format(host="localhost").encode())

    def data_received(self, data: bytes) -> None:
        now_s = time.time()
        match self.stage:
            case Stage.OPENING if b"maxPayload" in data:
                self.stage = Stage.JOINING
                self._transport.write(text_frame("40/events,"))
            case Stage.JOINING if b"40/events,{" in data:
                self.stage = Stage.SUBSCRIBED
                ask = json.dumps(["subscribe:engagement", {"sessionId": self._session}])
                self._transport.write(text_frame("42/events,1" + ask))
                self.subscribed.set()
            case Stage.SUBSCRIBED if self._is_deaf:
                self._transport.pause_reading()
            case Stage.SUBSCRIBED:
                self._delays_s += [now_s - float(at) for at in SENT_AT.findall(data)]
        if data.endswith(PING):
            self._transport.write(PONG)


def _the(listener: Listener) -> Listener:
    return listener


async def main() -> None:
    arguments = _arguments()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    loop = asyncio.get_running_loop()
    delays_s: list[float] = []
    crowd = [
        Listener(f"s{number % arguments.sessions}", delays_s, is_deaf=number < arguments.deaf)
        for number in range(arguments.clients)
    ]
    for each in crowd:
        await loop.create_connection(partial(_the, each), "127.0.0.1", arguments.port)
        await each.subscribed.wait()
    await asyncio.sleep(1)  # the acknowledgements and histories
    delays_s.clear()
    print("ready", flush=True)
    await asyncio.sleep(arguments.seconds)
    print(json.dumps(_received(delays_s)), flush=True)


def _received(delays_s: list[float]) -> dict[str, float]:
    hundredths = statistics.quantiles(delays_s, n=100)
    return {
        "messages": len(delays_s),
        "p50_ms": hundredths[49] * 1e3,
        "p99_ms": hundredths[98] * 1e3,
        "most_ms": max(delays_s) * 1e3,
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.crowd", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--sessions", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--deaf", type=int, default=0, help="how many never read")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main())
