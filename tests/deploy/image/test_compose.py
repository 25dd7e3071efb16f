"""The services of `compose.yaml` that run the image, started by podman-compose.

Its Valkey and TimescaleDB come from a registry; here, servers of this machine take their places.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

import pytest

from conductor_actors.adapters.embedded.server_process import free_port
from tests.dashboard.clients import token
from tests.deploy.files import DEPLOY, document
from tests.deploy.image.conftest import Servers, secrets_in
from tests.deploy.image.events import SCORE, SESSION, send_events
from tests.deploy.image.podman import (
    assert_confined,
    exit_code,
    podman,
    run,
    wait_until_healthy,
)
from tests.support.waiting import wait_until

FILE: Final = DEPLOY / "compose.yaml"
SERVICES: Final = ("migrate", "collector", "dashboard")
OTHERS: Final = ("valkey", "timescaledb", "prometheus", "grafana")


class Deployment:
    """The three services, and how to reach them."""

    def __init__(self, folder: Path, image: str, servers: Servers, env_file: Path) -> None:
        self.http_port = free_port()
        self._secrets = secrets_in(env_file)
        self._project = f"conductor-test-{self.http_port}"
        removed, replaced = folder / "removed.yaml", folder / "replaced.yaml"
        removed.write_text(_removed(), encoding="utf-8")
        override = _override(image, servers, self.http_port)
        replaced.write_text(json.dumps(override), encoding="utf-8")
        files = (FILE, removed, replaced)
        self._options = (
            *("-m", "podman_compose", "--project-name", self._project, "--env-file", str(env_file)),
            *(option for file in files for option in ("--file", str(file))),
        )

    def compose(self, *arguments: str) -> None:
        """Run podman-compose; fail with its output."""
        ended = run(*self._options, *arguments, program=sys.executable)
        assert ended.returncode == 0, ended.stderr + ended.stdout

    def container(self, service: str) -> str:
        return f"{self._project}_{service}_1"

    def scores(self, tenant: str) -> dict[str, float]:
        """Return the scores of a tenant's sessions, as its token shows them."""
        authorization = f"Bearer {token(tenant, key=self._secrets['CONDUCTOR_JWT_SECRET'])}"
        found = self.get("/api/v1/sessions", Authorization=authorization)["sessions"]
        return {update["sessionId"]: update["score"] for update in found}

    def get(self, path: str, **headers: str) -> Any:
        request = Request(f"http://127.0.0.1:{self.http_port}{path}", headers=headers)
        with urlopen(request, timeout=10) as response:
            return json.load(response)


def _removed() -> str:
    """Return what removes the other services and all that needs them."""
    # A pod's network is its own. Published ports need a network other than the host's.
    lines = ["x-podman: {in_pod: false}", "services:"]
    lines += [f"  {name}: !reset null" for name in OTHERS]
    lines += [f"  {name}: {{depends_on: !reset null, ports: !reset null}}" for name in SERVICES]
    return "\n".join(lines)


def _override(image: str, servers: Servers, http_port: int) -> dict[str, Any]:
    """Replace the image's name, hosts and ports, and nothing else."""
    metrics_port = free_port()
    ports: dict[str, dict[str, str]] = {
        "migrate": {},
        "collector": {"CONDUCTOR_METRICS_PORT": str(metrics_port)},
        "dashboard": {
            "CONDUCTOR_HTTP_PORT": str(http_port),
            "CONDUCTOR_METRICS_PORT": str(free_port()),
            "HEALTH_URL": f"http://127.0.0.1:{http_port}/health",
        },
    }
    places = {
        "@valkey:6379/": f"@127.0.0.1:{servers.redis_port}/",
        "@timescaledb/": f"@127.0.0.1:{servers.database_port}/",
        "//127.0.0.1:9464/": f"//127.0.0.1:{metrics_port}/",
    }
    services = document(FILE)["services"]
    return {
        "services": {
            name: {
                "image": image,
                "network_mode": "host",
                "environment": _urls(services[name]["environment"], places) | ports[name],
                "depends_on": {
                    other: condition
                    for other, condition in services[name]["depends_on"].items()
                    if other in SERVICES
                },
            }
            for name in SERVICES
        }
    }


def _urls(variables: dict[str, str], places: dict[str, str]) -> dict[str, str]:
    """Return the URLs among the variables, with another host or port and else as they are."""
    return {
        name: url.replace(place, here)
        for name, url in variables.items()
        for place, here in places.items()
        if place in url
    }


@pytest.fixture(scope="module")
def deployment(
    tmp_path_factory: pytest.TempPathFactory, image: str, servers: Servers, env_file: Path
) -> Iterator[Deployment]:
    """Start the services in compose.yaml's order."""
    started = Deployment(tmp_path_factory.mktemp("compose"), image, servers, env_file)
    try:
        started.compose("up", "--detach", "--no-build")
        yield started
    finally:
        for service in SERVICES:
            print(run("logs", started.container(service)))
        started.compose("down", "--timeout", "0")


def test_migrate_ends_with_0(deployment: Deployment) -> None:
    # Podman runs it again for each service that depends on it.
    assert exit_code(deployment.container("migrate")) == 0
    assert "the tables are up to date" in podman("logs", deployment.container("migrate"))


@pytest.mark.parametrize("service", ["collector", "dashboard"])
def test_a_service_is_confined_and_gets_healthy(deployment: Deployment, service: str) -> None:
    wait_until_healthy(deployment.container(service))
    assert_confined(deployment.container(service))


def test_the_dashboard_answers_health(deployment: Deployment) -> None:
    assert deployment.get("/health")["status"] == "ok"


@pytest.mark.parametrize(
    ("producer", "prefix", "tenant"),
    [("producer", "", "default"), ("acme-producer", "acme:", "acme")],
)
def test_a_token_shows_the_score_of_what_the_tenants_producer_sends(
    deployment: Deployment, servers: Servers, producer: str, prefix: str, tenant: str
) -> None:
    send_events(servers.redis_url(producer), prefix)
    wait_until(lambda: deployment.scores(tenant) == {SESSION: pytest.approx(SCORE)}, within_s=40)


def test_stop_ends_each_service_with_0(deployment: Deployment) -> None:
    deployment.compose("stop")
    codes = {service: exit_code(deployment.container(service)) for service in SERVICES}
    assert codes == dict.fromkeys(SERVICES, 0)
