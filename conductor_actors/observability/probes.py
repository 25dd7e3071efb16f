"""The probes of a collector that runs alone: /health and /ready, on the port of its metrics."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, TypeAlias

from prometheus_client import REGISTRY, CollectorRegistry

from conductor_actors.observability.collector_status import StatusReader
from conductor_actors.observability.health import ProbeResponse, health, readiness
from conductor_actors.observability.metrics_server import serve_registry

Wsgi: TypeAlias = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@contextmanager
def serve_probes(
    host: str, port: int, read_status: StatusReader, registry: CollectorRegistry = REGISTRY
) -> Iterator[None]:
    """Serve probes and metrics until the block ends; with port 0 serve nothing.

    A standby is ready: nothing is routed to it, and a rollout that replaces one process after the
    other must see that it waits. (A standby of `run` is not: clients are routed to its dashboard.)
    """
    if not port:
        yield
        return
    with serve_registry(host, port, registry) as server:
        server.set_app(_with_probes(server.get_app(), read_status))
        yield


def _with_probes(metrics: Any, read_status: StatusReader) -> Wsgi:  # noqa: ANN401 - wsgiref's type
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/health":
                return _respond(health(read_status()), start_response)
            case "/ready":
                return _respond(readiness(read_status()), start_response)
        answer: Iterable[bytes] = metrics(environ, start_response)
        return answer

    return app


def _respond(response: ProbeResponse, start_response: Callable[..., Any]) -> Iterable[bytes]:
    status = HTTPStatus(response.status_code)
    start_response(f"{status.value} {status.phrase}", [("Content-Type", "application/json")])
    return [response.body]
