"""The commands as they are run: one process with both halves, or one process for each."""

import asyncio
import json
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import httpx
import pytest
import redis

from tests.dashboard.clients import Client
from tests.support.programs import QUICK, Program, running
from tests.support.waiting import wait_until


class Start(Protocol):
    def __call__(self, command: str, **settings: str) -> Program: ...


@pytest.fixture
def start(
    valkey_url: str,
    shared_database: str,
    tmp_path: Path,
) -> Iterator[Start]:
    """Start programs, which end with the test."""
    settings = QUICK | {"REDIS_URL": valkey_url, "DATABASE_URL": shared_database}
    with ExitStack() as stack:
        yield lambda command, **more: stack.enter_context(
            running(command, cwd=tmp_path, **settings | more)
        )


@pytest.fixture
def session_id() -> str:
    return f"session-{uuid4().hex}"


def stop(program: Program) -> int:
    program.signal(signal.SIGTERM)
    return program.finish().exit_code


def chat(client: redis.Redis, session_id: str) -> None:
    message = {"id": "m1", "text": "hello", "authorId": "u1"}
    body = {"sessionId": session_id, "eventId": "e", "message": message}
    client.xadd("platform.events.chat.message.v1", {"data": json.dumps(body)})


async def follow(service: Program, client: redis.Redis, session_id: str) -> None:
    """Subscribe, cause an update, end the service: each must be seen by the client."""
    follower = Client("/events")
    await follower.open(service.all("dashboard_started")[0]["address"])
    await follower.subscribe(session_id)
    await follower.body("engagement:history")
    chat(client, session_id)
    update = await follower.body("engagement:update")
    assert (update["sessionId"], update["signals"]["total_users"]) == (session_id, 1)
    assert await asyncio.to_thread(stop, service) == 0
    while (told := await follower.next())[0] == "engagement:update":
        pass
    assert told[0] == "disconnect"
    await follower.close()


def test_an_event_becomes_an_update_and_both_halves_end_as_one(
    start: Start, redis_client: redis.Redis, session_id: str
) -> None:
    service = start("run")
    service.wait_for("service_started")
    asyncio.run(follow(service, redis_client, session_id))


def test_the_halves_run_apart_and_the_dashboard_any_number_of_times(
    start: Start, redis_client: redis.Redis, session_id: str
) -> None:
    dashboards = [start("dashboard"), start("dashboard")]
    addresses = [each.wait_for("dashboard_started")["address"] for each in dashboards]
    collector = start("collect")
    collector.wait_for("service_started")
    chat(redis_client, session_id)
    for address in addresses:
        with httpx.Client(base_url=address) as client:

            def has_session(client: httpx.Client = client) -> bool:
                sessions = client.get("api/v1/sessions").json()["sessions"]
                return session_id in [each["sessionId"] for each in sessions]

            wait_until(has_session)
            assert client.get("health").json()["collector"] == "elsewhere"
    for program in (collector, *dashboards):
        assert stop(program) == 0


def test_without_redis_the_service_says_so_on_its_own_port(start: Start) -> None:
    service = start("run", REDIS_URL="redis://127.0.0.1:9")
    address = service.wait_for("dashboard_started")["address"]
    ready = httpx.get(f"{address}ready")
    assert (ready.status_code, "collector: starting" in ready.json()["reasons"]) == (503, True)
    assert stop(service) == 0


@pytest.mark.parametrize("command", ["run", "dashboard"])
def test_what_others_could_reach_without_a_key_is_not_started(start: Start, command: str) -> None:
    assert start(command, CONDUCTOR_HTTP_HOST="0.0.0.0").finish().exit_code == 2


def test_a_port_that_is_taken_ends_the_start(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert start("dashboard", CONDUCTOR_HTTP_PORT=port).finish().exit_code == 2


def test_a_dashboard_beside_a_cluster_is_ready_once_every_partition_has_an_owner(
    start: Start, redis_client: redis.Redis
) -> None:
    redis_client.set("conductor:partitions", 4)
    for key in ("conductor:owner", *(f"conductor:owner:{{{number}}}" for number in (0, 1, 3))):
        redis_client.set(key, "host", px=30_000)
    dashboard = start("dashboard")
    address = dashboard.wait_for("dashboard_started")["address"]
    reasons = ["collector: nobody has partition 2"]
    wait_until(lambda: httpx.get(f"{address}ready").json()["reasons"] == reasons)
    health = httpx.get(f"{address}health").json()
    assert (health["collector"], health["cluster"]["without_owner"]) == ("stalled", [2])
    redis_client.set("conductor:owner:{2}", "host", px=30_000)
    wait_until(lambda: httpx.get(f"{address}ready").status_code == 200)
    assert stop(dashboard) == 0
