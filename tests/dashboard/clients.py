"""A Socket.IO client that records what it receives, and tokens for it."""

import asyncio
import time
from collections.abc import Awaitable
from typing import Any

import aiohttp
import jwt
import socketio
from socketio.exceptions import ConnectionError  # noqa: A004 - that of the library

SECRET = "a secret of 32 bytes or more, as it must be"
WITHIN_S = 10.0


def token(tenant: str = "acme", *, expires_in_s: float = 60, key: Any = SECRET, **more: Any) -> str:
    claims = {"tenant": tenant, "exp": int(time.time() + expires_in_s)}
    return jwt.encode(claims | more.pop("claims", {}), key, **{"algorithm": "HS256", **more})


class Refused(Exception):  # noqa: N818 - a response, not a fault
    """The server refused the connection."""


class _ReadingSession:
    """An HTTP session that reads every response: python-socketio's client leaves some unread."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    async def get(self, *args: Any, **options: Any) -> aiohttp.ClientResponse:
        return await self._read(self._session.get(*args, **options))

    async def post(self, *args: Any, **options: Any) -> aiohttp.ClientResponse:
        return await self._read(self._session.post(*args, **options))

    @staticmethod
    async def _read(request: Awaitable[aiohttp.ClientResponse]) -> aiohttp.ClientResponse:
        response = await request
        await response.read()
        return response


class Client:
    """One client on one namespace."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.received: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self._http = _ReadingSession()
        self._client: Any = socketio.AsyncClient(reconnection=False, http_session=self._http)
        self._client.on("*", self._record, namespace=namespace)
        self._refusal: Any = None
        self._client.on("connect_error", self._record_refusal, namespace=namespace)
        self._client.on("disconnect", self._record_disconnect, namespace=namespace)

    async def open(
        self,
        address: str,
        *,
        query: str = "",
        show: str | None = None,
        transports: tuple[str, ...] = ("websocket",),
    ) -> None:
        """Connect, or raise `Refused` with the server's error."""
        try:
            await self._client.connect(
                address + query,
                namespaces=[self.namespace],
                auth={"token": show} if show else None,
                transports=list(transports),
                wait_timeout=WITHIN_S,
            )
        except ConnectionError as error:
            raise Refused(self._refusal or str(error)) from None

    async def call(self, event: str, **body: Any) -> Any:
        return await self._client.call(event, body, namespace=self.namespace, timeout=WITHIN_S)

    async def emit(self, event: str, **body: Any) -> None:
        """Send a request without an acknowledgement."""
        await self._client.emit(event, body, namespace=self.namespace)

    async def subscribe(self, session_id: object) -> Any:
        return await self.call("subscribe:engagement", sessionId=session_id)

    async def next(self) -> tuple[str, Any]:
        return await asyncio.wait_for(self.received.get(), WITHIN_S)

    async def body(self, event: str) -> Any:
        """Return the body of the next event; assert that it is this one."""
        name, body = await self.next()
        assert name == event
        return body

    async def close(self) -> None:
        await self._client.disconnect()
        await self._http.close()

    @property
    def transport(self) -> str:
        return str(self._client.transport())

    async def _record(self, event: str, body: Any) -> None:
        self.received.put_nowait((event, body))

    async def _record_refusal(self, error: Any) -> None:
        self._refusal = error

    async def _record_disconnect(self, reason: str) -> None:
        self.received.put_nowait(("disconnect", reason))
