"""The dashboard's lifecycle: start, health, drain and stop."""

import asyncio
import logging
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from statistics import median

import httpx
import pytest
from structlog.testing import capture_logs

from conductor_actors.dashboard import server
from conductor_actors.dashboard.options import Options, page_url
from conductor_actors.dashboard.server import Dashboard
from conductor_actors.errors import ConfigError
from conductor_actors.observability.collector_status import CollectorStatus, GapCount
from conductor_actors.observability.library_logs import LibraryLogHandler
from tests.dashboard.clients import SECRET, token
from tests.dashboard.conftest import Connect, Serve, metric, upstreams, wait_ready

WITHIN_S = 10.0


STATUS = CollectorStatus("running", (), 0.25, 12.5, {"trimmed": GapCount(2, 7)})


@contextmanager
def serving(dashboard: Dashboard) -> Iterator[Dashboard]:
    dashboard.start()
    try:
        yield dashboard
    finally:
        dashboard.stop()


def test_health_reports_the_servers_and_the_collector(
    valkey_url: str, shared_database: str
) -> None:
    ports = upstreams(valkey_url, shared_database)
    with serving(Dashboard(Options(port=0), ports, lambda: STATUS)) as dashboard:
        wait_ready(dashboard)
        found: dict[str, object] = {}
        while found.get("database") != "ok":
            found = httpx.get(f"{dashboard.address}health").json()
        assert isinstance(found.pop("active_sessions"), int)
        assert found == {
            "status": "ok",
            "redis": "ok",
            "database": "ok",
            "collector": "running",
            "lag_s": 0.25,
            "checkpoint_age_s": 12.5,
            "gaps": {"trimmed": {"gaps": 2, "lost_events": 7}},
        }


def test_without_redis_the_dashboard_is_healthy_and_not_ready(shared_database: str) -> None:
    ports = upstreams("redis://127.0.0.1:9", shared_database)
    with serving(Dashboard(Options(port=0), ports)) as dashboard:
        health = httpx.get(f"{dashboard.address}health")
        assert (health.status_code, health.json()["redis"]) == (200, "away")
        ready = httpx.get(f"{dashboard.address}ready")
        assert ready.status_code == 503
        assert ready.json() == {"ready": False, "reasons": ["redis: updates can't be heard"]}


def test_an_obstacle_of_the_collector_makes_the_dashboard_not_ready(
    valkey_url: str, shared_database: str
) -> None:
    statuses = [STATUS]
    ports = upstreams(valkey_url, shared_database)
    with serving(Dashboard(Options(port=0), ports, lambda: statuses[-1])) as dashboard:
        wait_ready(dashboard)
        statuses.append(CollectorStatus("starting", ["collector: starting"]))
        ready = httpx.get(f"{dashboard.address}ready")
        assert (ready.status_code, ready.json()["reasons"]) == (503, ["collector: starting"])


@pytest.mark.anyio
async def test_draining_makes_it_not_ready_and_stopping_closes_every_connection(
    serve: Serve, connect: Connect
) -> None:
    dashboard = serve()
    clients = [await connect(dashboard, transports=(each,)) for each in ("websocket", "polling")]
    dashboard.drain()
    found = await asyncio.to_thread(httpx.get, f"{dashboard.address}ready")
    assert (found.status_code, found.json()["reasons"]) == (503, ["draining"])
    for client in clients:
        assert await client.subscribe("s") == {"ok": True}
        await client.body("engagement:history")
    began_s = time.monotonic()
    await asyncio.to_thread(dashboard.stop)
    assert time.monotonic() - began_s < 3
    for client in clients:
        assert (await client.next())[0] == "disconnect"
    with pytest.raises(httpx.ConnectError):
        await asyncio.to_thread(httpx.get, f"{dashboard.address}health")


def test_a_response_does_not_wait_for_the_acknowledgement_of_its_head(serve: Serve) -> None:
    seconds = []
    with httpx.Client(base_url=serve().address) as client:
        for _ in range(50):  # on one connection
            began_s = time.perf_counter()
            client.get("/health")
            seconds.append(time.perf_counter() - began_s)
    assert median(seconds) < 0.03  # an acknowledgement is delayed by 0.04 s


def test_a_port_in_use_is_an_error_that_names_the_setting() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        nowhere = upstreams("redis://127.0.0.1:9", "")
        with pytest.raises(
            ConfigError, match=f"CONDUCTOR_HTTP_PORT={port}: Address already in use"
        ):
            Dashboard(Options(port=port), nowhere).start()
        with pytest.raises(
            ConfigError, match=f"CONDUCTOR_METRICS_PORT={port}: Address already in use"
        ):
            Dashboard(Options(port=0, metrics_port=port), nowhere).start()


def test_a_host_that_others_can_reach_requires_a_key() -> None:
    with pytest.raises(ConfigError, match=r"CONDUCTOR_HTTP_HOST=0\.0\.0\.0"):
        Dashboard(Options(host="0.0.0.0"), upstreams("redis://127.0.0.1:9", ""))


def test_metrics_are_served_on_a_port_of_their_own(serve: Serve) -> None:
    dashboard = serve(metrics_port=0)
    found = httpx.get(f"http://127.0.0.1:{dashboard.metrics_port}/metrics")
    assert "conductor_dashboard_connections 0.0" in found.text
    assert httpx.get(f"{dashboard.address}metrics").status_code == 404


def test_no_metric_has_a_label_for_sessions_or_clients(serve: Serve) -> None:
    for family in serve()._metrics.registry.collect():
        for sample in family.samples:
            assert set(sample.labels) <= {"code", "reason", "le"}
            assert family.name.startswith("conductor_dashboard_")


@pytest.mark.anyio
async def test_no_token_is_ever_logged(
    serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    shown = token()
    caplog.set_level(logging.DEBUG)
    with capture_logs() as lines:
        dashboard = serve(jwt_secret=SECRET)
        client = await connect(dashboard, show=shown)
        await client.subscribe("s")
        headers = {"Authorization": f"Bearer {shown}"}
        for path in (
            "api/v1/sessions",
            "api/v1/sessions/s/history?step=x",
            "nothing",
        ):
            await asyncio.to_thread(httpx.get, dashboard.address + path, headers=headers)
    signature = shown.rpartition(".")[2]
    ours = [each for each in caplog.records if not each.name.startswith(("httpx", "httpcore"))]
    assert signature not in str(lines) + "".join(each.getMessage() for each in ours)


def test_a_line_of_a_library_logs_at_most_once_a_minute() -> None:
    now_s = [0.0]
    logger = logging.getLogger("test.library")
    logger.propagate = False
    logger.addHandler(LibraryLogHandler(lambda: now_s[0]))

    def warn(text: str) -> None:
        logger.warning("%s", text)

    with capture_logs() as lines:
        for number in range(5):
            warn(f"a {number}")
        now_s[0] += 61
        warn("b" * 500)
    assert [(line["message"][:2], line["repeats"]) for line in lines] == [("a ", 0), ("bb", 4)]
    assert len(lines[1]["message"]) <= 200


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "http://127.0.0.1:1/"),
        ("0.0.0.0", "http://localhost:1/"),
        ("::", "http://localhost:1/"),
        ("::1", "http://[::1]:1/"),
    ],
)
def test_the_url_of_the_page_can_be_opened(host: str, shown: str) -> None:
    assert page_url(host, 1) == shown


def test_the_dashboard_serves_ipv6(valkey_url: str, shared_database: str) -> None:
    ports = upstreams(valkey_url, shared_database)
    with serving(Dashboard(Options(host="::1", port=0), ports)) as dashboard:
        assert httpx.get(f"{dashboard.address}health").status_code == 200


def test_only_a_trusted_proxy_sets_the_address_of_a_client(serve: Serve) -> None:
    forwarded = {"X-Forwarded-For": "10.9.9.9"}
    poll = "socket.io/?EIO=4&transport=polling"
    trusting = serve(clients_per_address=1, trusted_proxies=("127.0.0.1",))
    assert httpx.get(trusting.address + poll).status_code == 200
    assert httpx.get(trusting.address + poll, headers=forwarded).status_code == 200
    assert httpx.get(trusting.address + poll, headers=forwarded).status_code == 429
    wary = serve(clients_per_address=1)
    assert httpx.get(wary.address + poll).status_code == 200
    assert httpx.get(wary.address + poll, headers=forwarded).status_code == 429
    assert metric(wary, "clients_refused_total", reason="address") == 1


@pytest.mark.parametrize(
    ("hard", "accepted", "expected"),
    [
        (4096, 4096, 4096),
        (resource.RLIM_INFINITY, 10_240, 10_240),  # macOS
        (resource.RLIM_INFINITY, 256, None),
        (256, 256, None),
    ],
)
def test_the_limit_of_open_files_is_raised_as_far_as_the_system_allows(
    hard: int, accepted: int, expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[tuple[int, int]] = []

    def setrlimit(_: int, wanted: tuple[int, int]) -> None:
        if not 0 <= wanted[0] <= accepted:
            raise ValueError("current limit exceeds maximum limit")
        limits.append(wanted)

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, hard))
    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    server._raise_file_limit()
    assert limits == ([] if expected is None else [(expected, hard)])
