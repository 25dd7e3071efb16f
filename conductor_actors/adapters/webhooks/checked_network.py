"""The network, of which a webhook reaches public addresses only, unless others are allowed.

A receiver's name could lead to a server behind the firewall, or to the metadata service of a cloud.
A connection is made to the address that was checked: a second look-up could return another.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeAlias

import httpcore

from conductor_actors.adapters.webhooks.public_addresses import is_public

SocketOptions: TypeAlias = Iterable[httpcore.SOCKET_OPTION]

MAX_LOOKUPS: Final = 64  # that run at once; a server of names that is away holds them for long
MAX_ADDRESSES: Final = 3  # of a name that are tried


class AddressRefused(httpcore.ConnectError):
    """A receiver has an address that is not allowed."""


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """A network for `httpcore`, of which only allowed addresses can be reached."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._network = httpcore.AnyIOBackend()
        self._lookups = ThreadPoolExecutor(MAX_LOOKUPS, thread_name_prefix="webhook-lookup")

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface's
        local_address: str | None = None,
        socket_options: SocketOptions | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of the host that answers, if all are allowed."""
        *others, last = (await self._look_up(host, port))[:MAX_ADDRESSES]
        for address in others:
            try:
                return await self._network.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._network.connect_tcp(last, port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: SocketOptions | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: a webhook is no socket of this machine."""
        del path, timeout, socket_options
        raise AddressRefused("a webhook can't be a socket")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    def close(self) -> None:
        """End the look-ups that have not begun."""
        self._lookups.shutdown(wait=False, cancel_futures=True)

    async def _look_up(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host, which are all allowed."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(
                self._lookups, socket.getaddrinfo, host, port, 0, socket.SOCK_STREAM
            )
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"the name can't be resolved: {error}") from None
        addresses = [str(sockaddr[0]) for *_, sockaddr in found]
        for address in addresses:
            if not self._allow_private and not is_public(ipaddress.ip_address(address)):
                raise AddressRefused(
                    f"{address} is not a public address; CONDUCTOR_WEBHOOK_ALLOW_PRIVATE=true "
                    "allows others"
                )
        return addresses
