"""Where the demo logs, because the terminal shows scores, and on which ports it listens."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from conductor_actors.adapters.embedded.state_directory import require_home
from conductor_actors.app.startup import log_unknown_variables
from conductor_actors.commands.terminal import print_stderr
from conductor_actors.errors import ConfigError
from conductor_actors.observability import logs
from conductor_actors.settings import Settings

MAX_PORTS_TRIED: Final = 100


@contextmanager
def log_to_file(settings: Settings) -> Iterator[None]:
    """Write the log to `demo.log` in the state directory, until the block ends."""
    require_home(settings.state_dir)
    path = settings.state_dir / "demo.log"
    try:
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"CONDUCTOR_STATE_DIR={settings.state_dir}: {error.strerror}; set another directory, "
            "e.g. CONDUCTOR_STATE_DIR=/var/lib/conductor"
        ) from None
    with file:
        logs.configure(settings.log_level, settings.log_format, file)
        log_unknown_variables()
        print_stderr(f"starting; the log is in {path}")
        yield


def with_free_ports(settings: Settings) -> Settings:
    """Return the settings with the next free port for each that is in use; print the new ports."""
    http_port = _free_port(settings.http_host, settings.http_port)
    metrics_port = settings.metrics_port
    if metrics_port:
        metrics_port = _free_port(settings.metrics_host, metrics_port, excluded=http_port)
    for name, configured, port in (
        ("dashboard", settings.http_port, http_port),
        ("metrics", settings.metrics_port, metrics_port),
    ):
        if port != configured:
            reason = f"port {configured} is in use: " if configured else ""
            print_stderr(f"{reason}using port {port} for the {name}")
    return settings.model_copy(update={"http_port": http_port, "metrics_port": metrics_port})


def _free_port(host: str, first: int, excluded: int | None = None) -> int:
    """Return the first free port from `first` on; `first` itself if there is none. 0: any."""
    for port in range(first, min(first + MAX_PORTS_TRIED, 1 << 16)):
        if port != excluded:
            with suppress(OSError), socket.create_server((host, port)) as server:
                return int(server.getsockname()[1])
    return first  # the service then reports that it is in use
