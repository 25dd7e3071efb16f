"""Requests that a reverse proxy forwards: the address of the client, and the path before ours."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from conductor_actors.dashboard.options import Options
from conductor_actors.errors import ConfigError

ANY_PROXY: Final = "*"
FORWARDED_PREFIX: Final = "X-Forwarded-Prefix"

_BASE_PATH: Final = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*")
_OWN_PATH: Final = re.compile(r"/?|/(health|ready)|/(api|static|socket\.io)(/.*)?", re.DOTALL)


class Proxies:
    """The proxies that are trusted, and the path of the page. Raises `ConfigError` for typos."""

    def __init__(self, options: Options) -> None:
        self.names = options.trusted_proxies
        self.base_path = _parse_base_path(options.base_path)
        self._trusts_all = ANY_PROXY in self.names
        self._networks = [_parse_network(each) for each in self.names if each != ANY_PROXY]

    def __contains__(self, address: str) -> bool:
        if self._trusts_all or not self._networks:
            return self._trusts_all
        client = ip_address(address)
        return any(client in network for network in self._networks)


class ProxyMiddleware:
    """The outermost ASGI application: undoes what proxies do to a request.

    It sets `base_path` of the request's state: what the path of the page begins with for browsers.
    """

    def __init__(self, app: ASGIApp, proxies: Proxies) -> None:
        self._proxies = proxies
        names = ANY_PROXY if ANY_PROXY in proxies.names else list(proxies.names)
        self._app: Any = ProxyHeadersMiddleware(app, names)  # type: ignore[arg-type] # the same type, uvicorn's own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its own path and its client's address."""
        client = _ipv4_if_mapped(scope.get("client"))
        base_path = self._proxies.base_path
        if client is not None and client[0] in self._proxies:
            base_path = _forwarded_prefix(scope) or base_path
        path = _own_path(scope["path"], base_path)
        state = {**scope.get("state", {}), "base_path": base_path}
        await self._app({**scope, "client": client, "path": path, "state": state}, receive, send)


def _parse_network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ConfigError(
            f"CONDUCTOR_TRUSTED_PROXIES: {error}, e.g. "
            "CONDUCTOR_TRUSTED_PROXIES=10.0.0.0/8,192.0.2.7"
        ) from None


def _parse_base_path(text: str) -> str:
    """Return a path without a slash at its end."""
    path = text.rstrip("/")
    if _BASE_PATH.fullmatch(path) is None:
        raise ConfigError(
            f"CONDUCTOR_HTTP_BASE_PATH={text!r}: begins with a slash and has letters, digits, "
            "'.', '_', '~' and '-' only, e.g. CONDUCTOR_HTTP_BASE_PATH=/engagement"
        )
    return path


def _forwarded_prefix(scope: Scope) -> str:
    """Return the path that proxies say they have removed; empty if it can't be one."""
    values = ",".join(Headers(scope=scope).getlist(FORWARDED_PREFIX)).split(",")
    prefix = "".join(each.strip().rstrip("/") for each in values)
    return prefix if _BASE_PATH.fullmatch(prefix) else ""


def _own_path(path: str, base_path: str) -> str:
    """Return a path without the base path, which some proxies remove and others do not."""
    rest = path.removeprefix(base_path)
    return (rest or "/") if _OWN_PATH.fullmatch(rest) else path


def _ipv4_if_mapped(client: tuple[str, int] | None) -> tuple[str, int] | None:
    """Return a client's address as IPv4 if a socket for both versions has accepted it by IPv4."""
    if client is None or not client[0].lower().startswith("::ffff:"):
        return client
    mapped = getattr(ip_address(client[0]), "ipv4_mapped", None)
    return client if mapped is None else (str(mapped), client[1])
