"""What the process of an actor does before its work: write logs, serve metrics."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from threading import Thread
from typing import Final, TextIO

from prometheus_client import REGISTRY

from conductor_actors import log_events
from conductor_actors.actors.supervisor import EXIT_FAILED
from conductor_actors.app.service import relay_logs
from conductor_actors.cluster.host_messages import ServiceParameters
from conductor_actors.errors import ConfigError
from conductor_actors.observability import logs
from conductor_actors.observability.metrics import CollectorMetrics
from conductor_actors.observability.metrics_server import serve_registry

MAX_METRICS_PORTS: Final = 64  # of the processes of a machine, which use the first that is free


@contextmanager
def actor_process(parameters: ServiceParameters) -> Iterator[None]:
    """Write the log as the settings say until the block ends.

    Lines go to stdout, a file of Ray's, or to the socket of the program that started all processes
    of this machine; and to Redis.
    """
    settings, urls = parameters.settings, parameters.urls
    with ExitStack() as cleanup:
        stream = sys.stdout
        if parameters.log_socket:
            stream = cleanup.enter_context(_open_socket(parameters.log_socket))
        style = "json" if settings.log_format == "auto" else settings.log_format
        logs.configure(settings.log_level, style, stream)
        cleanup.enter_context(relay_logs(urls.redis) if settings.log_stream else nullcontext())
        yield


@contextmanager
def served_metrics(parameters: ServiceParameters) -> Iterator[None]:
    """Serve metrics on the first free port from CONDUCTOR_METRICS_PORT on, until the block ends."""
    settings = parameters.settings
    log_events.subscribe(CollectorMetrics().observe)
    with ExitStack() as cleanup:
        ports = range(settings.metrics_port, settings.metrics_port + MAX_METRICS_PORTS)
        for port in ports if settings.metrics_port else ():
            try:
                cleanup.enter_context(serve_registry(settings.metrics_host, port, REGISTRY))
            except ConfigError:
                continue
            break
        yield


@contextmanager
def _open_socket(path: str) -> Iterator[TextIO]:
    """Connect to the program that collects the log; this process ends when it does."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        Thread(target=_end_with, args=(connection,), daemon=True).start()
        with connection.makefile("w", encoding="utf-8") as stream:
            yield stream


def _end_with(connection: socket.socket) -> None:
    """End this process once the other end is closed: Ray itself may wait for a minute."""
    with suppress(OSError):
        connection.recv(1)
    os._exit(EXIT_FAILED)
