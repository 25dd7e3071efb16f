"""The check of `Host` and `Origin`, and the security headers of every response."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from conductor_actors.dashboard.bodies import Problem, Refusal, encode
from conductor_actors.dashboard.options import Options, is_loopback
from conductor_actors.errors import ConfigError

ANY_ORIGIN: Final = "*"

_CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_ALLOW_ADVICE: Final = "; its operator can add it to CONDUCTOR_ALLOWED_ORIGINS"
_SECURITY_HEADERS: Final = {
    "Content-Security-Policy": _CSP,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Origins:
    """The origins and hosts from which requests are accepted.

    A page of another site could send requests in its visitor's name (its `Origin` is not ours), or
    resolve its own name to our address (DNS rebinding: its `Host` is not ours). On loopback both
    must be this machine; elsewhere only the origin is checked.
    """

    def __init__(self, options: Options, *, is_loopback: bool, needs_token: bool) -> None:
        self._any = ANY_ORIGIN in options.allowed_origins
        named = (each for each in options.allowed_origins if each != ANY_ORIGIN)
        self._origins = frozenset(map(_origin, named))
        self._hosts = frozenset(urlsplit(each).netloc for each in self._origins)
        self._is_loopback = is_loopback
        if self._any and not needs_token and not options.allow_anonymous:
            raise ConfigError(
                "CONDUCTOR_ALLOWED_ORIGINS=*: lets every web page read everything, so it needs a "
                "key; name the pages, e.g. CONDUCTOR_ALLOWED_ORIGINS=https://app.example.com"
            )

    def allows_host(self, host: str) -> bool:
        """Check whether requests for this host are accepted."""
        return not self._is_loopback or host in self._hosts or is_loopback(_hostname(host))

    def allows_origin(self, origin: str | None, host: str) -> bool:
        """Check whether requests from this origin are accepted; only browsers send one."""
        if origin is None or self._any or origin in self._origins:
            return True
        netloc = urlsplit(origin).netloc
        if netloc and netloc == host:
            return True
        return self._is_loopback and is_loopback(_hostname(netloc))


class OriginMiddleware:
    """An ASGI application: refuses other origins, and adds the security headers."""

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or respond with 403."""
        headers = Headers(scope=scope)
        host, origin = headers.get("host", "").lower(), headers.get("origin")
        if not self._origins.allows_host(host):
            problem = Problem("unknown_host", f"this service is not known as {host}{_ALLOW_ADVICE}")
            await _refuse(scope, receive, send, problem)
        elif not _is_page(scope["path"]) and not self._origins.allows_origin(origin, host):
            problem = Problem("unknown_origin", f"not open to pages of {origin}{_ALLOW_ADVICE}")
            await _refuse(scope, receive, send, problem)
        else:
            await self._app(scope, receive, _with_headers(send))


def _is_page(path: str) -> bool:
    """Check whether a path is that of a file of the page, which has no data.

    Browsers send an origin with requests for modules, too. Behind a proxy that changes `Host` it is
    not allowed, and the page must load to show that.
    """
    return path == "/" or path.startswith("/static/")


def _hostname(netloc: str) -> str:
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""


def _origin(text: str) -> str:
    """Return an origin as browsers send it: scheme and host in lower case, without a slash."""
    parts: Sequence[str] = text.lower().rstrip("/").split("://")
    if len(parts) != 2 or parts[0] not in ("http", "https") or not parts[1] or "/" in parts[1]:
        raise ConfigError(
            f"CONDUCTOR_ALLOWED_ORIGINS: {text!r} is no origin, "
            "e.g. CONDUCTOR_ALLOWED_ORIGINS=https://app.example.com,http://localhost:3000"
        )
    return "://".join(parts)


async def _refuse(scope: Scope, receive: Receive, send: Send, problem: Problem) -> None:
    headers = {"Access-Control-Allow-Origin": ANY_ORIGIN}  # the refused page may show the reason
    response = Response(encode(Refusal(problem)), 403, headers, media_type="application/json")
    await response(scope, receive, _with_headers(send))


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            headers = MutableHeaders(scope=message)
            for name, value in _SECURITY_HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers
