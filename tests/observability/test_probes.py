"""The probes and metrics that a collector without a dashboard serves."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from prometheus_client import CollectorRegistry

from conductor_actors.adapters.embedded.server_process import free_port
from conductor_actors.errors import ConfigError
from conductor_actors.observability import probes
from conductor_actors.observability.lifecycle import LifecycleTracker
from conductor_actors.observability.metrics import CollectorMetrics
from conductor_actors.settings import Settings
from tests.support.log_lines import make_event


class Collector:
    """The status and the metrics of a collector, and the port of its probes."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = CollectorMetrics(self.registry)
        self.lifecycle = LifecycleTracker()
        self.port = free_port()

    def emit(self, event: str, **keys: object) -> None:
        for observe in (self.metrics.observe, self.lifecycle.observe):
            observe(make_event(event, **keys))

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}")


@contextmanager
def serve_probes(collector: Collector) -> Iterator[None]:
    settings = Settings(metrics_port=collector.port)
    read_status = collector.lifecycle.status
    with probes.serve_probes(
        settings.metrics_host, settings.metrics_port, read_status, collector.registry
    ):
        yield


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    with serve_probes(collector):
        yield collector


def get_readiness(collector: Collector) -> tuple[int, list[str]]:
    answer = collector.get("/ready")
    body = answer.json()
    assert body["ready"] == (answer.status_code == 200)
    return answer.status_code, body["reasons"]


def test_a_collector_that_starts_is_not_ready_and_names_the_services_it_waits_for(
    collector: Collector,
) -> None:
    assert get_readiness(collector) == (503, ["collector: starting"])
    collector.emit("outage_began", service="database", error="refused")
    assert get_readiness(collector) == (503, ["collector: starting", "database: away"])


def test_a_standby_is_ready(collector: Collector) -> None:
    collector.emit("lease_awaited", owner="other", waited_s=0)
    assert get_readiness(collector) == (200, [])
    assert collector.get("/health").json() == {"status": "standby", "collector": "standby"}


def test_a_standby_without_redis_is_not_ready(collector: Collector) -> None:
    collector.emit("lease_awaited", owner="other", waited_s=0)
    collector.emit("outage_began", service="redis", error="refused")
    assert get_readiness(collector) == (503, ["redis: away"])
    collector.emit("outage_ended", service="redis", lasted_s=1)
    assert get_readiness(collector) == (200, [])


def test_an_owner_is_ready_until_it_drains(collector: Collector) -> None:
    collector.emit("service_started")
    assert get_readiness(collector) == (200, [])
    collector.emit("drain_began", within_s=20)
    assert get_readiness(collector) == (503, ["collector: draining"])


@pytest.mark.parametrize(
    ("service", "status"), [("redis events", 503), ("redis updates", 503), ("database", 200)]
)
def test_an_owner_is_not_ready_without_a_service_that_scores_need(
    collector: Collector, service: str, status: int
) -> None:
    collector.emit("service_started")
    collector.emit("outage_began", service=service, error="refused")
    assert get_readiness(collector)[0] == status
    collector.emit("outage_ended", service=service, lasted_s=1)
    assert get_readiness(collector) == (200, [])


def test_a_collector_is_healthy_during_any_outage(collector: Collector) -> None:
    collector.emit("outage_began", service="redis events", error="refused")
    assert collector.get("/health").json() == {"status": "ok", "collector": "starting"}


def test_metrics_are_served_on_the_same_port(collector: Collector) -> None:
    assert "conductor_owner 0.0" in collector.get("/metrics").text


def test_a_port_that_is_in_use_is_a_configuration_error(collector: Collector) -> None:
    with pytest.raises(ConfigError, match=r"^CONDUCTOR_METRICS_HOST=.*Address already in use"):
        serve_probes(collector).__enter__()


def test_with_port_0_nothing_is_served() -> None:
    collector = Collector()
    collector.port = 0
    with serve_probes(collector):
        pass
