"""The dashboard on a thread of its own, from its first listener to its last client."""

import asyncio
import resource
import socket
import threading
from contextlib import ExitStack, suppress
from typing import Final

import uvicorn
from prometheus_client import REGISTRY, CollectorRegistry
from starlette.types import ASGIApp

from conductor_actors.dashboard.app import AccessControl, DashboardApp
from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.options import Options, is_loopback, page_url
from conductor_actors.dashboard.realtime.socket_server import MAX_MESSAGE_BYTES
from conductor_actors.dashboard.scores.upstreams import Upstreams
from conductor_actors.dashboard.timeouts import make_protocols
from conductor_actors.errors import ConfigError
from conductor_actors.log_events import DashboardStarted, DashboardStopped, emit
from conductor_actors.observability.collector_status import CollectorStatus, StatusReader
from conductor_actors.observability.library_logs import capture_library_logs
from conductor_actors.observability.metrics_server import serve_registry

LISTEN_BACKLOG: Final = 2048
SEND_BUFFER_BYTES: Final = 1 << 16  # when it is full, a client is known not to read
MAX_REQUEST_HEAD_BYTES: Final = 1 << 14
SHUTDOWN_TIMEOUT_S: Final = 2  # for responses in progress
STOP_TIMEOUT_S: Final = 5.0
MACOS_OPEN_MAX: Final = 10_240


class Dashboard:
    """Serves from `start` to `stop`. Raises `ConfigError` for options that it can't serve.

    It has an event loop on a thread of its own, so the thread that starts it may block. After the
    start, `address` is the URL of the page, and `metrics_port` the port of the metrics.
    """

    def __init__(
        self,
        options: Options,
        upstreams: Upstreams,
        read_collector: StatusReader = CollectorStatus,
        metrics: DashboardMetrics | None = None,
    ) -> None:
        self._options = options
        self._upstreams = upstreams
        self._read_collector = read_collector
        self._metrics = metrics or DashboardMetrics()
        self._access = AccessControl(options, is_loopback=is_loopback(options.host))
        self._open = ExitStack()
        self._is_up = threading.Event()
        self._ended = threading.Event()

    def start(self) -> None:
        """Start to listen; return when requests are answered."""
        with ExitStack() as opened:
            self._listener = opened.enter_context(_listener(self._options))
            self.address = page_url(self._options.host, self._listener.getsockname()[1])
            if self._options.metrics_port is not None:
                self.metrics_port = _serve_metrics(self._options, self._metrics, opened)
            _raise_file_limit()
            capture_library_logs()
            threading.Thread(target=self._run, name="dashboard", daemon=True).start()
            self._is_up.wait()
            self._open = opened.pop_all()
        needs_token = self._access.authenticator.needs_token
        emit(DashboardStarted(address=self.address, needs_token=needs_token))

    def drain(self) -> None:
        """Report that this process is not ready, and continue to serve."""
        self._app.health.is_draining = True

    def wait(self, timeout_s: float) -> bool:
        """Wait for the thread to end; return whether it has."""
        return self._ended.wait(timeout_s)

    def stop(self) -> None:
        """Close every connection, and end the thread."""
        if not self._ended.is_set():
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._ended.wait(STOP_TIMEOUT_S)
        self._open.close()
        emit(DashboardStopped())

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._ended.set()
            self._is_up.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._app = DashboardApp(
            self._options, self._upstreams, self._access, self._metrics, self._read_collector
        )
        server = _HttpServer(self._config(self._app.asgi), self._is_up)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(self._app.run())
            waiting = group.create_task(self._shut_down(server))
            await server.serve(sockets=[self._listener])
            running.cancel()
            waiting.cancel()

    def _config(self, app: ASGIApp) -> uvicorn.Config:
        http, websocket = make_protocols(self._metrics.clients_closed.labels("slow").inc)
        return uvicorn.Config(
            app,
            http=http,
            ws=websocket,
            ws_max_size=MAX_MESSAGE_BYTES,
            ws_ping_interval=None,  # Engine.IO sends its own
            ws_per_message_deflate=False,  # 300 KB for each client
            h11_max_incomplete_event_size=MAX_REQUEST_HEAD_BYTES,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # `ProxyMiddleware` reads them
            timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
            backlog=LISTEN_BACKLOG,
        )

    async def _shut_down(self, server: uvicorn.Server) -> None:
        await self._stopping.wait()
        await self._app.stop()
        server.should_exit = True


class _HttpServer(uvicorn.Server):
    """Sets an event when it has started."""

    def __init__(self, config: uvicorn.Config, is_up: threading.Event) -> None:
        super().__init__(config)
        self._is_up = is_up

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._is_up.set()


def _listener(options: Options) -> socket.socket:
    host, port = options.host, options.port
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, *_, where = found[0]
        listener = socket.create_server(
            (str(where[0]), port),
            family=family,
            backlog=LISTEN_BACKLOG,
            dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        raise ConfigError(
            f"CONDUCTOR_HTTP_HOST={host}, CONDUCTOR_HTTP_PORT={port}: {error.strerror}; "
            "set others, e.g. CONDUCTOR_HTTP_PORT=3003"
        ) from None
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    # Accepted sockets inherit it. asyncio would set it only if the listener's protocol were named;
    # without it a small response waits 40 ms for the client's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _serve_metrics(options: Options, metrics: DashboardMetrics, opened: ExitStack) -> int:
    """Serve the metrics of the dashboard and of the process, and its collector's if it has one."""
    registry = CollectorRegistry()
    registry.register(metrics.registry)
    registry.register(REGISTRY)
    return opened.enter_context(
        serve_registry(options.metrics_host, options.metrics_port or 0, registry)
    ).server_port


def _raise_file_limit() -> None:
    """Raise the limit of open files from the usual 1,024 (macOS: 256) to what the system allows.

    macOS reports no maximum, but refuses more than its own: then that of its C library is set.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (hard, MACOS_OPEN_MAX):
        if soft == resource.RLIM_INFINITY or 0 <= limit <= soft:
            return
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            return
