"""What a collector answers to those who restart and replace it."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from prometheus_client import CollectorRegistry

from conductor_actors.adapters.embedded.server_process import free_port
from conductor_actors.errors import ConfigError
from conductor_actors.observability import probes
from conductor_actors.observability.metrics import CollectorMetrics
from conductor_actors.settings import Settings
from tests.support.log_lines import event_of


class Collector:
    """What is known of a collector, and where it is asked."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = CollectorMetrics(self.registry)
        self.port = free_port()

    def says(self, event: str, **keys: object) -> None:
        self.metrics.observe(event_of(event, **keys))

    def answer(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}")


@contextmanager
def answering(collector: Collector) -> Iterator[None]:
    settings = Settings(metrics_port=collector.port)
    with probes.answered(
        settings.metrics_host, settings.metrics_port, collector.metrics.standing, collector.registry
    ):
        yield


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    with answering(collector):
        yield collector


def readiness(collector: Collector) -> tuple[int, list[str]]:
    answer = collector.answer("/ready")
    body = answer.json()
    assert body["ready"] == (answer.status_code == 200)
    return answer.status_code, body["reasons"]


def test_one_that_starts_is_not_ready_and_says_what_it_waits_for(collector: Collector) -> None:
    assert readiness(collector) == (503, ["collector: starting"])
    collector.says("outage_began", service="database", error="refused")
    assert readiness(collector) == (503, ["collector: starting", "database: away"])


def test_a_standby_is_ready_because_waiting_is_its_part(collector: Collector) -> None:
    collector.says("lease_awaited", owner="other", waited_s=0)
    assert readiness(collector) == (200, [])
    assert collector.answer("/health").json() == {"status": "standby", "collector": "standby"}


def test_a_standby_that_can_t_reach_redis_can_t_take_over(collector: Collector) -> None:
    collector.says("lease_awaited", owner="other", waited_s=0)
    collector.says("outage_began", service="redis", error="refused")
    assert readiness(collector) == (503, ["redis: away"])
    collector.says("outage_ended", service="redis", lasted_s=1)
    assert readiness(collector) == (200, [])


def test_an_owner_is_ready_until_it_drains(collector: Collector) -> None:
    collector.says("service_started")
    assert readiness(collector) == (200, [])
    collector.says("drain_began", within_s=20)
    assert readiness(collector) == (503, ["collector: draining"])


@pytest.mark.parametrize(
    ("service", "status"), [("redis events", 503), ("redis updates", 503), ("database", 200)]
)
def test_an_owner_is_ready_while_events_are_read_and_scores_can_leave(
    collector: Collector, service: str, status: int
) -> None:
    collector.says("service_started")
    collector.says("outage_began", service=service, error="refused")
    assert readiness(collector)[0] == status
    collector.says("outage_ended", service=service, lasted_s=1)
    assert readiness(collector) == (200, [])


def test_its_health_is_that_it_answers_whatever_is_away(collector: Collector) -> None:
    collector.says("outage_began", service="redis events", error="refused")
    assert collector.answer("/health").json() == {"status": "ok", "collector": "starting"}


def test_its_metrics_are_beside_them(collector: Collector) -> None:
    assert "conductor_owner 0.0" in collector.answer("/metrics").text


def test_a_port_that_is_taken_is_the_operators_turn(collector: Collector) -> None:
    with pytest.raises(ConfigError, match=r"^CONDUCTOR_METRICS_HOST=.*Address already in use"):
        answering(collector).__enter__()


def test_port_0_answers_nobody() -> None:
    collector = Collector()
    collector.port = 0
    with answering(collector):
        pass
