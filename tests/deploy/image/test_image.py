"""The image of `deploy/Dockerfile`: a container has no privileges and a read-only disk."""

from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest
from typer.main import get_command

from conductor_actors.adapters.embedded.server_process import free_port
from conductor_actors.cli import app
from tests.deploy.files import ROOT
from tests.deploy.image.conftest import Servers
from tests.deploy.image.events import SCORE, published_scores, send_events
from tests.deploy.image.podman import (
    CONFINED,
    GRACE_S,
    assert_confined,
    container,
    environment,
    exit_code,
    is_healthy,
    podman,
    wait_until_healthy,
)

SAMPLE = ROOT / "tests" / "support" / "contract"


def run_command(image: str, *arguments: str, **variables: str) -> str:
    """Run a command of the image to its end; return what it prints."""
    return podman("run", "--rm", *CONFINED, *environment(variables), image, *arguments)


@pytest.fixture(scope="module")
def migration(image: str, servers: Servers) -> str:
    """Run `migrate`; return what it prints."""
    return run_command(image, "migrate", DATABASE_URL=servers.database_url("conductor_owner"))


@pytest.fixture(scope="module")
def variables(servers: Servers, migration: str) -> dict[str, str]:
    """Return the settings of a collector."""
    assert "the tables are up to date" in migration
    return {
        "REDIS_URL": servers.redis_url("collector"),
        "DATABASE_URL": servers.database_url("conductor_writer"),
        "CONDUCTOR_TICK_S": "1",
    }


def test_every_command_is_in_the_image(image: str) -> None:
    commands = sorted(get_command(app).commands)  # type: ignore[attr-defined]
    assert {"collect", "dashboard", "migrate", "check", "replay"} <= set(commands)
    with ThreadPoolExecutor(4) as threads:
        printed = threads.map(lambda name: run_command(image, name, "--help"), commands)
        for name, usage in zip(commands, printed, strict=True):
            assert f"conductor_actors {name}" in usage


def test_the_image_replays_recorded_events_to_the_expected_rows(image: str) -> None:
    recorded = f"--volume={SAMPLE / 'events.jsonl'}:/events.jsonl:ro"
    arguments = ("replay", "/events.jsonl", "--csv", "-")
    rows = podman("run", "--rm", *CONFINED, recorded, image, *arguments)
    assert rows == (SAMPLE / "expected.csv").read_text(encoding="utf-8")


def test_check_finds_no_fault_after_migrate(image: str, variables: dict[str, str]) -> None:
    assert "FAILED" not in run_command(image, "check", **variables)


def test_the_hot_path_is_compiled_in_the_image(image: str, variables: dict[str, str]) -> None:
    find = "import sysconfig as s, os; print(os.path.exists(s.get_path('include') + '/Python.h'))"
    has_headers = podman("run", "--rm", "--entrypoint=python", image, "-c", find)  # officially
    verdict = f"ok     compiled: {has_headers.lower()}"
    assert verdict in run_command(image, "check", **variables)


def test_the_health_check_fails_where_nothing_answers(
    image: str, variables: dict[str, str]
) -> None:
    nowhere = {
        "CONDUCTOR_METRICS_PORT": str(free_port()),
        "HEALTH_URL": f"http://127.0.0.1:{free_port()}/health",
    }
    with container(image, "collect", variables=variables | nowhere) as collector:
        assert not is_healthy(collector)


def test_collect_gets_healthy_scores_events_and_ends_with_0_on_sigterm(
    image: str, servers: Servers, variables: dict[str, str]
) -> None:
    port = free_port()
    ports = {"CONDUCTOR_METRICS_PORT": str(port), "HEALTH_URL": f"http://127.0.0.1:{port}/health"}
    with container(image, "collect", variables=variables | ports) as collector:
        wait_until_healthy(collector)
        assert_confined(collector)
        with published_scores(servers.redis_url("dashboard")) as scores:
            send_events(servers.redis_url("producer"))
            assert any(score == pytest.approx(SCORE) for score in islice(scores, 5))
        podman("stop", "--time", str(GRACE_S), collector)
        assert exit_code(collector) == 0
