"""Find an own server that another process of ours runs, to look at what it does."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from conductor_actors.adapters.embedded_valkey import Valkey


def running_valkey(state_dir: Path) -> str | None:
    """Return the URL of the own Valkey that runs on this folder, if one does."""
    try:
        import psutil  # type: ignore[import-untyped]  # noqa: PLC0415 - comes with the servers
    except ModuleNotFoundError:
        return None
    data = str(state_dir.resolve() / Valkey.name)
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            port = _port(process.cmdline(), data)
            if port is not None:
                return Valkey.url(port)
    return None


def _port(command: Sequence[str], data: str) -> int | None:
    """Give the port of a command line as `Valkey.command` makes it."""
    if not command or Path(command[0]).name != Valkey.program:
        return None
    options = dict(pairwise(command))
    port = options.get("--port", "")
    return int(port) if options.get("--dir") == data and port.isdecimal() else None
