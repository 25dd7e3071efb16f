"""What a collector that runs alone answers: /metrics, /health and /ready, on the metrics' port."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import msgspec
from prometheus_client import REGISTRY, CollectorRegistry

from conductor_actors.dashboard.client_metrics import served
from conductor_actors.observability.metrics import Standing

Wsgi: TypeAlias = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@contextmanager
def answered(
    host: str, port: int, standing: Standing, registry: CollectorRegistry = REGISTRY
) -> Iterator[None]:
    """Answer while the block runs, unless there is no port.

    Health says that the process answers at all: what a restart can't mend is no reason for one.
    A standby is ready: nothing is routed to it, and those who replace or evict one process after
    the other must see that it stands by. (That of `run` is not: clients are routed to that.)
    """
    if not port:
        yield
        return
    with served(host, port, registry) as server:
        server.set_app(_routed(server.get_app(), standing))
        yield


def _health(phase: str) -> dict[str, str]:
    return {"status": phase if phase in ("standby", "draining") else "ok", "collector": phase}


def _routed(metrics: Any, standing: Standing) -> Wsgi:  # noqa: ANN401 - wsgiref's kind
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body: dict[str, Any]
        match environ["PATH_INFO"]:
            case "/health":
                status, body = "200 OK", _health(standing.phase)
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
