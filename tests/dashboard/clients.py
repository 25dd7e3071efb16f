"""A Socket.IO client that keeps what it was told, and tokens to show."""

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


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """The server does not want this client."""


class _Reading:
    """An HTTP session that reads every answer: python-socketio's client leaves some unread."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    async def get(self, *args: Any, **how: Any) -> aiohttp.ClientResponse:
        return await self._read(self._session.get(*args, **how))

    async def post(self, *args: Any, **how: Any) -> aiohttp.ClientResponse:
        return await self._read(self._session.post(*args, **how))

    @staticmethod
    async def _read(asked: Awaitable[aiohttp.ClientResponse]) -> aiohttp.ClientResponse:
        answer = await asked
        await answer.read()
        return answer


class Client:
    """One client on one namespace."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.told: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self._http = _Reading()
        self._client: Any = socketio.AsyncClient(reconnection=False, http_session=self._http)
        self._client.on("*", self._keep, namespace=namespace)
        self._refusal: Any = None
        self._client.on("connect_error", self._refused, namespace=namespace)
        self._client.on("disconnect", self._gone, namespace=namespace)

    async def open(
        self,
        address: str,
        *,
        query: str = "",
        show: str | None = None,
        transports: tuple[str, ...] = ("websocket",),
    ) -> None:
        """Connect, or raise `Refused` with what the server said."""
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

    async def ask(self, event: str, **body: Any) -> Any:
        return await self._client.call(event, body, namespace=self.namespace, timeout=WITHIN_S)

    async def subscribe(self, session_id: object) -> Any:
        return await self.ask("subscribe:engagement", sessionId=session_id)

    async def next(self) -> tuple[str, Any]:
        return await asyncio.wait_for(self.told.get(), WITHIN_S)

    async def body(self, event: str) -> Any:
        """Give the body of the next event, which must be this one."""
        name, body = await self.next()
        assert name == event
        return body

    async def close(self) -> None:
        await self._client.disconnect()
        await self._http.close()

    @property
    def transport(self) -> str:
        return str(self._client.transport())

    async def _keep(self, event: str, body: Any) -> None:
        self.told.put_nowait((event, body))

    async def _refused(self, error: Any) -> None:
        self._refusal = error

    async def _gone(self, reason: str) -> None:
        self.told.put_nowait(("disconnect", reason))
