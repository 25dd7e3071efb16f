"""Clients that read exports and drop them: `python -m tests.benchmarks.downloads URL`.

Prints `begun` when all of them receive, and at the end of its input what they received.
"""

import asyncio
import json
import statistics
import sys
import threading
import time
from functools import partial
from typing import Final
from urllib.parse import urlsplit

EXPORTS: Final = 50
EXPORTED_TENANTS: Final = 5
FORMATS: Final = ("csv", "jsonl")
PATIENCE_S: Final = 60.0
LOOK_S: Final = 0.25

REQUEST: Final = (
    "GET /api/v1/export?tenant=tenant-{tenant}&format={format} HTTP/1.1\r\n"
    "Host: {host}\r\nConnection: close\r\n\r\n"
)


class Download(asyncio.Protocol):
    """Reads one export and drops it, as cheaply as a client can."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self.received = 0
        self.is_refused = False
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self.received:
            self.is_refused = not data.startswith(b"HTTP/1.1 200")
            self.begun.set()
        self.received += len(data)

    def connection_lost(self, _: Exception | None) -> None:
        self.begun.set()
        self.ended.set()


class Downloads:
    """So many exports at once: each that ends, or is refused, is begun again."""

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        assert where.hostname is not None
        assert where.port is not None
        self._host, self._address = where.netloc, (where.hostname, where.port)
        self._current: dict[int, Download] = {}
        self._former = 0

    def running(self) -> int:
        return sum(
            each.begun.is_set() and not each.is_refused and not each.ended.is_set()
            for each in self._current.values()
        )

    def received(self) -> int:
        return self._former + sum(each.received for each in self._current.values())

    async def run(self, number: int) -> None:
        request = REQUEST.format(
            tenant=number % EXPORTED_TENANTS,
            format=FORMATS[number % len(FORMATS)],
            host=self._host,
        ).encode()
        loop = asyncio.get_running_loop()
        while True:
            self._current[number] = download = Download(request)
            await loop.create_connection(partial(_itself, download), *self._address)
            await download.ended.wait()
            self._former += download.received
            download.received = 0
            if download.is_refused:
                await asyncio.sleep(1)


async def export(url: str, stop: threading.Event) -> None:
    """Run the exports until `stop`; then print what was received."""
    downloads = Downloads(url)
    tasks = [asyncio.create_task(downloads.run(number)) for number in range(EXPORTS)]
    for _ in range(round(PATIENCE_S / LOOK_S)):
        if downloads.running() == EXPORTS:
            break
        await asyncio.sleep(LOOK_S)
    print("begun" if downloads.running() == EXPORTS else "refused", flush=True)
    before, began_s, samples = downloads.received(), time.monotonic(), [downloads.running()]
    while not await asyncio.to_thread(stop.wait, LOOK_S):
        samples.append(downloads.running())
    took_s = time.monotonic() - began_s
    rate = (downloads.received() - before) / took_s / 1e6
    for task in tasks:
        task.cancel()
    print(json.dumps({"megabytes_per_s": rate, "running": statistics.mean(samples)}))


def _itself(download: Download) -> Download:
    return download


def _stop_at_end_of_input(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


def main() -> None:
    stop = threading.Event()
    threading.Thread(target=_stop_at_end_of_input, args=(stop,), daemon=True).start()
    asyncio.run(export(sys.argv[1], stop))


if __name__ == "__main__":
    main()
