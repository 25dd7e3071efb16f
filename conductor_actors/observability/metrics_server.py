"""The HTTP server of the metrics."""

from collections.abc import Iterator
from contextlib import contextmanager
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server

from conductor_actors.errors import ConfigError


@contextmanager
def serve_registry(host: str, port: int, registry: CollectorRegistry) -> Iterator[WSGIServer]:
    """Serve a registry until the block ends, on a thread of prometheus-client."""
    try:
        server, _ = start_http_server(port, host, registry)
    except OSError as error:
        raise ConfigError(
            f"CONDUCTOR_METRICS_HOST={host}, CONDUCTOR_METRICS_PORT={port}: {error.strerror}; "
            "set another, or CONDUCTOR_METRICS_PORT=0 for none"
        ) from None
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
