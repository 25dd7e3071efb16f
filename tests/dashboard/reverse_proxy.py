"""A reverse proxy that shows a service at a path, as nginx and Traefik do."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

_HOP_HEADERS: Final = ("connection", "host", "x-forwarded-prefix")


@dataclass(frozen=True)
class Rules:
    """How requests are changed: what is removed, and what is added or allowed."""

    path: str = ""
    removes_path: bool = False
    keeps_host: bool = True
    allows_websockets: bool = True
    headers: dict[str, str] = field(default_factory=dict)


@contextmanager
def reverse_proxy(target: str, rules: Rules, host: str = "127.0.0.1") -> Iterator[str]:
    """Forward requests to a service; yield the address at which it is shown, without a slash."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _handler(target, rules)) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://{host}:{server.server_address[1]}{rules.path}"
        server.shutdown()


def _handler(target: str, rules: Rules) -> type[socketserver.BaseRequestHandler]:
    where = urlsplit(target)

    class Handler(socketserver.BaseRequestHandler):
        """One request, after which the connection is closed."""

        def handle(self) -> None:
            with suppress(ConnectionError):
                data = b""
                while b"\r\n\r\n" not in data:
                    if not (more := self.request.recv(65536)):
                        return
                    data += more
                head, _, rest = data.partition(b"\r\n\r\n")
                forwarded = _forwarded(head.decode("latin-1"), where.netloc, rules)
                if forwarded is None:
                    self.request.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                    return
                with socket.create_connection((where.hostname, where.port)) as upstream:
                    upstream.sendall(forwarded.encode("latin-1") + rest)
                    _copy_both_ways(self.request, upstream)

    return Handler


def _forwarded(head: str, netloc: str, rules: Rules) -> str | None:
    """Return the head of a request as the service gets it; None if it gets no such request."""
    request, *lines = head.split("\r\n")
    method, target, version = request.split(" ")
    path, _, query = target.partition("?")
    if path != rules.path and not path.startswith(f"{rules.path}/"):
        return None
    headers = dict(line.split(": ", 1) for line in lines)
    is_upgrade = "Upgrade" in headers
    if is_upgrade and not rules.allows_websockets:
        return None
    if rules.removes_path:
        path = path.removeprefix(rules.path) or "/"
    kept = {name: value for name, value in headers.items() if name.lower() not in _HOP_HEADERS}
    kept["Host"] = headers["Host"] if rules.keeps_host else netloc
    kept["Connection"] = "Upgrade" if is_upgrade else "close"
    text = "".join(f"{name}: {value}\r\n" for name, value in (kept | rules.headers).items())
    return f"{method} {path}{'?' if query else ''}{query} {version}\r\n{text}\r\n"


def _copy_both_ways(client: socket.socket, upstream: socket.socket) -> None:
    threading.Thread(target=_copy, args=(client, upstream), daemon=True).start()
    _copy(upstream, client)


def _copy(source: socket.socket, destination: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            destination.sendall(data)
    with suppress(OSError):
        destination.shutdown(socket.SHUT_WR)
