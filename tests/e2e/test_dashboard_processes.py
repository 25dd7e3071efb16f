"""The commands as they are run: one process with both halves, or one process for each."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import redis

from tests.dashboard.conftest import Connect

ROOT = Path(__file__).parent.parent.parent
WITHIN_S = 30.0

Start = Callable[..., "Process"]


class Process:
    """A command of this program; its log is read a line at a time."""

    def __init__(self, command: str, settings: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "conductor_actors", command],
            cwd=ROOT,
            env=os.environ | settings,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self, event: str) -> dict[str, object]:
        """Wait for a line of the log."""
        assert self._process.stdout is not None
        for text in self._process.stdout:
            line: dict[str, object] = json.loads(text)
            if line["event"] == event:
                return line
        raise AssertionError(f"it ended without {event}")

    def stop(self) -> int:
        """Ask for an end, and give the exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> int:
        self._process.communicate(timeout=WITHIN_S)
        return self._process.returncode

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def start(
    redis_client: redis.Redis,  # noqa: ARG001 - it begins empty
    valkey_url: str,
    dashboard_database: str,
    tmp_path: Path,
) -> Iterator[Start]:
    with ExitStack() as stack:

        def run(command: str, **more: str) -> Process:
            settings = {
                "REDIS_URL": valkey_url,
                "DATABASE_URL": dashboard_database,
                "CONDUCTOR_STATE_DIR": str(tmp_path),
                "CONDUCTOR_HTTP_PORT": "0",
                "CONDUCTOR_METRICS_PORT": "0",
                "CONDUCTOR_TICK_S": "1",
                "CONDUCTOR_WINDOW_S": "10",
                "CONDUCTOR_LOG_FORMAT": "json",
            }
            process = Process(command, settings | more)
            stack.callback(process.kill)
            return process

        yield run


def chat(client: redis.Redis, session_id: str) -> None:
    message = {"id": "m1", "text": "hello", "authorId": "u1"}
    body = {"sessionId": session_id, "eventId": "e", "message": message}
    client.xadd("platform.events.chat.message.v1", {"data": json.dumps(body)})


@pytest.mark.anyio
async def test_an_event_becomes_an_update_and_both_halves_end_as_one(
    start: Start, connect: Connect, redis_client: redis.Redis, session_id: str
) -> None:
    service = start("run")
    address = service.line("dashboard_started")["address"]
    service.line("service_started")
    client = await connect(_At(str(address)))
    await client.subscribe(session_id)
    await client.body("engagement:history")
    chat(redis_client, session_id)
    update = await client.body("engagement:update")
    assert (update["sessionId"], update["signals"]["total_users"]) == (session_id, 1)
    assert service.stop() == 0
    told = [await client.next()]
    while told[-1][0] == "engagement:update":
        told.append(await client.next())
    assert told[-1][0] == "disconnect"


def test_the_halves_run_apart_and_the_dashboard_any_number_of_times(
    start: Start, redis_client: redis.Redis, session_id: str
) -> None:
    dashboards = [start("dashboard"), start("dashboard")]
    addresses = [each.line("dashboard_started")["address"] for each in dashboards]
    collector = start("collect")
    collector.line("service_started")
    chat(redis_client, session_id)
    for address in addresses:
        found: list[str] = []
        while session_id not in found:
            answer = httpx.get(f"{address}api/v1/sessions")
            found = [each["sessionId"] for each in answer.json()["sessions"]]
        assert httpx.get(f"{address}health").json()["collector"] == "elsewhere"
    for process in (collector, *dashboards):
        assert process.stop() == 0


def test_without_redis_the_service_says_so_on_its_own_port(start: Start) -> None:
    service = start("run", REDIS_URL="redis://127.0.0.1:9")
    address = service.line("dashboard_started")["address"]
    ready = httpx.get(f"{address}ready")
    assert (ready.status_code, "collector: starting" in ready.json()["reasons"]) == (503, True)
    assert service.stop() == 0


@pytest.mark.parametrize("command", ["run", "dashboard"])
def test_what_others_could_reach_without_a_key_is_not_started(start: Start, command: str) -> None:
    assert start(command, CONDUCTOR_HTTP_HOST="0.0.0.0").ended() == 2


def test_a_port_that_is_taken_ends_the_start(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert start("dashboard", CONDUCTOR_HTTP_PORT=port).ended() == 2


class _At:
    """Where a dashboard of another process is."""

    def __init__(self, address: str) -> None:
        self.address = address
