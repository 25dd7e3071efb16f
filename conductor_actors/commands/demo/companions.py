"""What the `demo` command adds to the service: simulated sessions, and a scoreboard."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Final

from rich.console import Console

from conductor_actors.adapters.redis.client import open_client
from conductor_actors.adapters.redis.update_reader import RedisUpdateReader
from conductor_actors.commands.demo import watching
from conductor_actors.commands.terminal import print_stderr
from conductor_actors.dashboard.server import address
from conductor_actors.errors import ConfigError
from conductor_actors.observability import logs
from conductor_actors.settings import Settings
from conductor_actors.simulate import Simulation, feed

JOIN_S: Final = 5.0
PORTS_TRIED: Final = 100


@contextmanager
def logs_aside(settings: Settings) -> Iterator[None]:
    """Write the log stream to a file, because the terminal belongs to the scoreboard."""
    path = settings.state_dir / "demo.log"
    try:
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"CONDUCTOR_STATE_DIR={settings.state_dir}: {error.strerror}; set another folder, "
            "e.g. CONDUCTOR_STATE_DIR=/var/lib/conductor"
        ) from None
    with file:
        logs.configure(settings.log_level, settings.log_format, file)
        print_stderr(f"starting; the log is in {path}")
        yield


def with_free_ports(settings: Settings) -> Settings:
    """Return the settings with the next free port where one is in use, and print which it is."""
    http_port = _free_port(settings.http_host, settings.http_port)
    metrics_port = settings.metrics_port
    if metrics_port:
        metrics_port = _free_port(settings.metrics_host, metrics_port, other_than=http_port)
    for name, wanted, taken in (
        ("dashboard", settings.http_port, http_port),
        ("metrics", settings.metrics_port, metrics_port),
    ):
        if taken != wanted:
            print_stderr(f"port {wanted} is in use: the {name} listens on port {taken}")
    return settings.model_copy(update={"http_port": http_port, "metrics_port": metrics_port})


def _free_port(host: str, wanted: int, other_than: int | None = None) -> int:
    """Return the first port from `wanted` on that can be listened on; `wanted` if there is none."""
    for port in range(wanted, min(wanted + PORTS_TRIED, 1 << 16)):
        if port != other_than:
            with suppress(OSError), socket.create_server((host, port)):
                return port
    return wanted  # which the service then reports


@contextmanager
def shown(
    redis_url: str, sessions: int, settings: Settings, over: Callable[[], None]
) -> Iterator[None]:
    """Feed simulated events and show the scores that come back, until the block ends.

    `over` is called when there is nobody left to show them to.
    """
    stop = threading.Event()
    console = Console()
    footer = f"{address(settings.http_host, settings.http_port)} shows it · Ctrl-C stops"
    with ExitStack() as stack:
        for run in (
            lambda: feed(open_client(redis_url), Simulation(sessions, seed=time.time_ns()), stop),
            lambda: _show(redis_url, console, stop, footer),
        ):
            stack.enter_context(companion(run, stop, over))
        yield


def _show(redis_url: str, console: Console, stop: threading.Event, footer: str) -> None:
    with closing(RedisUpdateReader(redis_url)) as reader:
        watching.run(reader, console, stop, footer)


@contextmanager
def companion(
    run: Callable[[], None], stop: threading.Event, over: Callable[[], None]
) -> Iterator[None]:
    """Run beside the block until `stop`, which its end sets; say `over` whenever that ends."""

    def run_out() -> None:
        try:
            run()
        finally:
            over()

    thread = threading.Thread(target=run_out, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(JOIN_S)
