"""What a collector that runs alone answers: /metrics, /health and /ready, on the metrics' port."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import msgspec
from prometheus_client import REGISTRY, CollectorRegistry

from conductor_actors.dashboard.metrics import served
from conductor_actors.metrics import Standing
from conductor_actors.settings import Settings

Wsgi: TypeAlias = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@contextmanager
def answered(
    settings: Settings, standing: Standing, registry: CollectorRegistry = REGISTRY
) -> Iterator[None]:
    """Answer while the block runs, unless there is no port.

    Health says that the process answers at all: what a restart can't mend is no reason for one.
    """
    if not settings.metrics_port:
        yield
        return
    with served(settings.metrics_host, settings.metrics_port, registry) as server:
        server.set_app(_routed(server.get_app(), standing))
        yield


def _routed(metrics: Any, standing: Standing) -> Wsgi:  # noqa: ANN401 - wsgiref's kind
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body: dict[str, Any]
        match environ["PATH_INFO"]:
            case "/health":
                status, body = "200 OK", {"status": "ok"}
            case "/ready":
                reasons = standing.obstacles()
                status = "503 Service Unavailable" if reasons else "200 OK"
                body = {"ready": not reasons, "reasons": reasons}
            case _:
                answer: Iterable[bytes] = metrics(environ, start_response)
                return answer
        start_response(status, [("Content-Type", "application/json")])
        return [msgspec.json.encode(body)]

    return app
