"""Measure what a visitor sees: `python -m tests.benchmarks.browser`. Needs Chromium.

The whole service with 1,000 live sessions, on a real Valkey and PostgreSQL. First, how long it
takes from an event's XADD until its number stands in a session's page; a score is due every tick,
so the same is given from the tick's instant on. Then the script time of the list of all sessions.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import redis
from playwright.sync_api import Page, sync_playwright

from conductor_actors.adapters.embedded.server_process import free_port
from conductor_actors.adapters.embedded.servers import EmbeddedServers
from conductor_actors.domain.events import DECODERS
from conductor_actors.simulate import bulk
from tests.benchmarks.figures import Figure, table
from tests.dashboard.page.conftest import ARGUMENTS, CHROMIUM

CHAT: Final = next(name for name in DECODERS if "chat" in name)
ACTIVE_USERS: Final = ".card-value >> nth=1"
NOTE_CHANGES: Final = """(node) => {
  window.seen = {};
  const note = () => { window.seen[node.textContent] ??= Date.now(); };
  new MutationObserver(note).observe(node, {childList: true, characterData: true, subtree: true});
}"""


class Delay(NamedTuple):
    """Of one event, in seconds: from its XADD, and from the tick that shows it."""

    from_event_s: float
    from_tick_s: float


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder, EmbeddedServers(Path(folder)) as servers:
        redis_url, database_url = servers.start_valkey(), servers.start_postgres()
        with (
            redis.Redis.from_url(redis_url) as client,
            _service(redis_url, database_url, arguments.tick) as address,
            _page() as page,
        ):
            _wait_until_ready(address)
            _enliven(client, arguments.sessions)
            delays = measure_delays(page, client, address, arguments.events, arguments.tick)
            script_ms = measure_list(page, address, arguments.sessions, arguments.tick)
    print(f"{arguments.sessions:,} sessions, a tick every {arguments.tick} s")
    events, ticks = ([delay[index] * 1000 for delay in delays] for index in range(2))
    figures = [
        Figure("XADD until the browser, p99", "ms", (_p99(events),), note=_p50(events)),
        Figure("the tick's instant until the browser, p99", "ms", (_p99(ticks),), note=_p50(ticks)),
        Figure("script time of the list of all sessions, a tick", "ms", (script_ms,)),
    ]
    print(table(figures))


def measure_delays(
    page: Page, client: redis.Redis, address: str, events: int, tick_s: int
) -> list[Delay]:
    """Let one user after the other chat at random moments, and wait until each is counted."""
    dice = random.Random(0)
    _chat(client, 0)
    page.goto(f"{address}/#/session/target")
    page.locator(ACTIVE_USERS, has_text="1").wait_for()
    page.locator(ACTIVE_USERS).evaluate(NOTE_CHANGES)
    delays = []
    for number in range(1, events + 1):
        time.sleep(dice.random() * tick_s)
        sent_s = time.time()
        _chat(client, number)
        found = page.wait_for_function("(text) => window.seen[text]", arg=str(number + 1))
        seen_s = float(found.json_value()) / 1000
        delays.append(Delay(seen_s - sent_s, seen_s - (sent_s // tick_s + 1) * tick_s))
    return delays


def measure_list(page: Page, address: str, sessions: int, tick_s: int, ticks: int = 10) -> float:
    """Look at the list of all sessions for some ticks; give the milliseconds of script of one."""
    page.goto(f"{address}/#/")
    page.get_by_text(f"{sessions + 1:,} live").wait_for()
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable")
    before_s = _script_s(devtools)
    page.wait_for_timeout(ticks * tick_s * 1000)
    return (_script_s(devtools) - before_s) / ticks * 1000


def _script_s(devtools: Any) -> float:
    found = devtools.send("Performance.getMetrics")["metrics"]
    return float(next(each["value"] for each in found if each["name"] == "ScriptDuration"))


def _wait_until_ready(address: str) -> None:
    while True:
        with suppress(httpx.ConnectError):
            if httpx.get(f"{address}/ready").is_success:
                return
        time.sleep(0.1)


def _chat(client: redis.Redis, number: int) -> None:
    message = {"id": f"message-{number}", "authorId": f"user-{number}"}
    body = {"sessionId": "target", "eventId": "summit", "message": message}
    client.xadd(CHAT, {"data": json.dumps(body)})


def _enliven(client: redis.Redis, sessions: int) -> None:
    with client.pipeline(transaction=False) as pipeline:
        for name, body in bulk(sessions * 5, sessions):
            pipeline.xadd(name, {"data": body})
        pipeline.execute()


@contextmanager
def _service(redis_url: str, database_url: str, tick_s: int) -> Iterator[str]:
    port = free_port()
    variables = {
        "REDIS_URL": redis_url,
        "DATABASE_URL": database_url,
        "CONDUCTOR_TICK_S": str(tick_s),
        "CONDUCTOR_WINDOW_S": "3600",  # so that no user who has chatted is forgotten meanwhile
        "CONDUCTOR_SESSION_TIMEOUT_S": "3600",
        "CONDUCTOR_HTTP_PORT": str(port),
        "CONDUCTOR_METRICS_PORT": "0",
        "CONDUCTOR_LOG_LEVEL": "error",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "conductor_actors"], env=os.environ | variables
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser.new_page(viewport={"width": 1280, "height": 900})
        browser.close()


def _p99(values_ms: list[float]) -> float:
    return statistics.quantiles(values_ms, n=100)[98]


def _p50(values_ms: list[float]) -> str:
    return f"{len(values_ms)} events, p50 {statistics.median(values_ms):.0f} ms"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.browser", description=__doc__)
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--tick", type=int, default=1, help="seconds")
    return parser.parse_args()


if __name__ == "__main__":
    main()
