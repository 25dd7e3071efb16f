from typing import Any

import httpx
import pytest

from conductor_actors.dashboard.access.origins import Origins
from conductor_actors.dashboard.options import Options, is_loopback
from conductor_actors.errors import ConfigError
from tests.dashboard.clients import SECRET
from tests.dashboard.conftest import Serve
from tests.dashboard.raw import HANDSHAKE, RawSocket, RawWebSocket

APP = "https://app.example.com"


def origins(*, loopback: bool = True, needs_token: bool = False, **options: Any) -> Origins:
    return Origins(Options(**options), is_loopback=loopback, needs_token=needs_token)


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:3002", "127.0.0.1:3002", "[::1]:3002", "127.9.9.9"]
)
def test_on_loopback_the_hosts_of_this_machine_are_allowed(host: str) -> None:
    assert origins().allows_host(host)


@pytest.mark.parametrize(
    "host",
    [
        *("", "evil.example", "evil.example:3002", "localhost.evil.example", "10.0.0.1"),
        *("127.0.0.1.evil.example", "localhost@evil.example", "evil.example#localhost", "[::1"),
    ],
)
def test_on_loopback_another_host_is_refused(host: str) -> None:
    assert not origins().allows_host(host)


def test_on_loopback_the_host_of_an_allowed_origin_is_allowed_for_a_proxy() -> None:
    assert origins(allowed_origins=(APP,)).allows_host("app.example.com")


def test_other_than_on_loopback_every_host_is_allowed() -> None:
    assert origins(loopback=False).allows_host("10.1.2.3:3002")


@pytest.mark.parametrize(
    ("origin", "is_allowed"),
    [
        (None, True),
        ("http://localhost:3002", True),
        ("http://localhost:3000", True),
        (APP, True),
        ("https://app.example.com:8443", False),
        ("http://app.example.com", False),
        ("https://evil.example", False),
        ("https://app.example.com.evil.example", False),
        ("http://localhost.evil.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_the_own_origin_this_machine_and_configured_origins_are_allowed(
    origin: str | None, *, is_allowed: bool
) -> None:
    assert origins(allowed_origins=(APP,)).allows_origin(origin, "localhost:3002") == is_allowed


def test_other_than_on_loopback_an_origin_of_this_machine_is_refused() -> None:
    strict = origins(loopback=False, needs_token=True)
    assert strict.allows_origin("https://here.example", "here.example")
    assert not strict.allows_origin("http://localhost:3000", "here.example")


def test_any_origin_requires_a_key_or_the_permission_of_the_operator() -> None:
    assert origins(allowed_origins=("*",), needs_token=True).allows_origin(
        "https://any.example", "h"
    )
    assert origins(allowed_origins=("*",), allow_anonymous=True).allows_origin(
        "https://a.example", "h"
    )
    with pytest.raises(ConfigError, match="CONDUCTOR_ALLOWED_ORIGINS"):
        origins(allowed_origins=("*",))


@pytest.mark.parametrize("text", ["app.example.com", "https://", "https://a/b", "ftp://a", "null"])
def test_an_invalid_origin_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"e\.g\. CONDUCTOR_ALLOWED_ORIGINS="):
        origins(allowed_origins=(text,))


def test_an_origin_may_have_capitals_and_a_slash_at_the_end() -> None:
    assert origins(allowed_origins=("HTTPS://App.Example.com/",)).allows_origin(APP, "localhost")


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_only_addresses_of_this_machine_are_loopback(host: str, *, expected: bool) -> None:
    assert is_loopback(host) == expected


DATA = ["api/v1/sessions", "health", "socket.io/?EIO=4"]
PAGE = ["", "static/app/main.js"]


@pytest.mark.parametrize(
    ("name", "path"),
    [*(("Host", path) for path in DATA + PAGE), *(("Origin", path) for path in DATA)],
)
def test_another_host_or_origin_is_refused_with_a_reason(
    serve: Serve, path: str, name: str
) -> None:
    found = httpx.get(serve().address + path, headers={name: "https://evil.example"})
    assert found.status_code == 403
    error = found.json()["error"]
    assert error["code"] == f"unknown_{name.lower()}"
    assert "https://evil.example" in error["message"]
    assert "CONDUCTOR_ALLOWED_ORIGINS" in error["message"]
    assert found.headers["access-control-allow-origin"] == "*"


def test_files_of_the_page_which_have_no_data_are_served_to_every_origin(serve: Serve) -> None:
    address = serve().address
    for path in PAGE:
        found = httpx.get(address + path, headers={"Origin": "https://evil.example"})
        assert found.status_code == 200


def test_another_origin_gets_no_websocket(serve: Serve) -> None:
    with RawSocket(serve(jwt_secret=SECRET).address) as client:
        client.send(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\n"
            b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://evil.example\r\n\r\n"
        )
        assert client.is_closed()
        assert client.received.startswith(b"HTTP/1.1 403")
        assert b"not open to pages of https://evil.example" in client.received


def test_a_websocket_beyond_the_limit_of_its_address_gets_429_and_the_reason(serve: Serve) -> None:
    dashboard = serve(clients_per_address=1)
    with RawWebSocket(dashboard.address), RawSocket(dashboard.address) as client:
        client.send(HANDSHAKE.format(host=client.host).encode())
        assert client.is_closed()
        assert client.received.startswith(b"HTTP/1.1 429")
        assert b"too many connections from this address" in client.received
        assert b"x-content-type-options: nosniff" in client.received.lower()


@pytest.mark.parametrize(
    "path", ["", "api/v1/sessions", "nothing", "socket.io/?EIO=4&transport=polling"]
)
def test_every_response_has_the_security_headers(serve: Serve, path: str) -> None:
    headers = httpx.get(serve().address + path).headers
    policy = headers["content-security-policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


def test_a_page_of_an_allowed_origin_may_read_the_response(serve: Serve) -> None:
    dashboard = serve(allowed_origins=(APP,))
    asked = {"Origin": APP, "Access-Control-Request-Method": "GET"}
    asked["Access-Control-Request-Headers"] = "authorization"
    for path in ("api/v1/sessions", "socket.io/?EIO=4&transport=polling"):
        found = httpx.options(dashboard.address + path, headers=asked)
        assert found.status_code == 200
        assert found.headers["access-control-allow-origin"] in ("*", APP)
        assert "authorization" in found.headers["access-control-allow-headers"].lower()
        found = httpx.get(dashboard.address + path, headers={"Origin": APP})
        assert found.headers["access-control-allow-origin"] in ("*", APP)
        assert "access-control-allow-credentials" not in found.headers
