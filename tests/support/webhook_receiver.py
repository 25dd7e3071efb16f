"""A real HTTP receiver of webhooks, which answers as a test says and verifies each signature."""

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from types import MappingProxyType, TracebackType
from typing import Any, Final, NamedTuple, Self

import msgspec
from standardwebhooks.webhooks import Webhook

SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY: Final = b"thank you"


class Received(NamedTuple):
    id: str
    path: str
    headers: dict[str, str]
    body: bytes
    at_s: float

    @property
    def event(self) -> dict[str, Any]:
        decoded: dict[str, Any] = msgspec.json.decode(self.body)
        return decoded

    @property
    def session(self) -> str:
        data = self.event["data"]
        return str(data.get("sessionId") or data["session"]["sessionId"])


class Reply(NamedTuple):
    status: int = 204
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes = b""
    wait: threading.Event | None = None  # for it, before the reply


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Print nothing: a sender that was killed has closed its connection."""


class Receiver:
    """Listens on a free port, or again on that of an earlier one."""

    def __init__(self, port: int = 0, secret: str = SECRET) -> None:
        self.received: list[Received] = []
        self.reply: Callable[[Received], Reply] = lambda _: Reply()
        self._verifier = Webhook(secret)
        address = ("127.0.0.1", port)
        self._server = _Server(address, self._handler())
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def accepted(self) -> list[Received]:
        return [*self.received]

    def ids(self) -> list[str]:
        return [each.id for each in self.received]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver._verifier.verify(body, headers)
                each = Received(headers["webhook-id"], self.path, headers, body, monotonic())
                receiver.received.append(each)
                reply = receiver.reply(each)
                if reply.wait is not None:
                    reply.wait.wait(30)
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
