"""Collects the log lines of other processes of this machine, from a socket, into this one's log."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from conductor_actors.observability import logs


@contextmanager
def collect_logs(directory: str) -> Iterator[str]:
    """Return the path of a socket in a directory of this user; what is written to it is logged.

    It is open for as long as this process lives.
    """
    path = str(Path(directory) / "log")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        threading.Thread(target=_accept, args=(listener,), daemon=True).start()
        yield path


def _accept(listener: socket.socket) -> None:
    with suppress(OSError):  # it was closed
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_copy_lines, args=(connection,), daemon=True).start()


def _copy_lines(connection: socket.socket) -> None:
    with connection, connection.makefile(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            logs.write_line(line.removesuffix("\n"))
