"""Requests of reverse proxies: the path at which they show the page, and their clients' address."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from conductor_actors.dashboard.access.proxies import Proxies
from conductor_actors.dashboard.options import Options
from conductor_actors.errors import ConfigError
from tests.dashboard.conftest import Serve
from tests.support.programs import assert_refused, run_to_end

LOOPBACK = {"trusted_proxies": ("127.0.0.1",)}


def stylesheet(address: str, **headers: str) -> str:
    """Return the address of the first stylesheet of the page."""
    text = httpx.get(address, headers=headers).text
    return text.partition('<link rel="stylesheet" href="')[2].partition('"')[0]


@pytest.mark.parametrize("path", ["", "engagement", "engagement/"])
def test_the_page_has_the_base_path_whether_a_proxy_removes_it_or_not(
    serve: Serve, path: str
) -> None:
    address = serve(base_path="/engagement/").address
    assert stylesheet(address + path) == "/engagement/static/vendor/uPlot.min.css"


@pytest.mark.parametrize(
    "base_path", ["/engagement", "/live/engagement", "/api", "/static", "/a.b~c"]
)
def test_every_path_is_served_behind_a_base_path_and_without_it(
    serve: Serve, base_path: str
) -> None:
    address = serve(base_path=base_path).address.rstrip("/")
    for path in (
        *("/", "/health", "/ready", "/api/v1/sessions", "/static/app/main.js"),
        *("/api/v1/openapi.json", "/socket.io/?EIO=4&transport=polling"),
    ):
        for prefix in (base_path, ""):
            assert httpx.get(address + prefix + path).status_code == 200, prefix + path
    assert httpx.get(f"{address}{base_path}/nothing").status_code == 404
    document = httpx.get(f"{address}/api/v1/openapi.json").json()
    assert document["servers"] == [{"url": base_path}]


@pytest.mark.parametrize(
    ("options", "prefix", "expected"),
    [
        (LOOPBACK, "/engagement", "/engagement"),
        (LOOPBACK, "/engagement/", "/engagement"),
        (LOOPBACK, "/a, /b/c", "/a/b/c"),
        (LOOPBACK | {"base_path": "/other"}, "/engagement", "/engagement"),
        (LOOPBACK | {"base_path": "/other"}, "/", "/other"),
        ({"trusted_proxies": ("*",)}, "/engagement", "/engagement"),
        ({"trusted_proxies": ("10.0.0.0/8",)}, "/engagement", ""),
        ({}, "/engagement", ""),
        (LOOPBACK, "engagement", ""),
        (LOOPBACK, "//evil.example", ""),
        (LOOPBACK, "https://evil.example", ""),
        (LOOPBACK, '/"><script>', ""),
        (LOOPBACK, "/a/../b", ""),
    ],
)
def test_a_forwarded_prefix_counts_if_its_proxy_is_trusted_and_it_is_a_path(
    serve: Serve, options: dict[str, Any], prefix: str, expected: str
) -> None:
    found = stylesheet(serve(**options).address, **{"X-Forwarded-Prefix": prefix})
    assert found == f"{expected}/static/vendor/uPlot.min.css"


def test_browsers_do_not_reuse_the_page_for_another_prefix(serve: Serve) -> None:
    address = serve(**LOOPBACK).address
    first = httpx.get(address, headers={"X-Forwarded-Prefix": "/a"})
    assert "X-Forwarded-Prefix" in first.headers["vary"]
    headers = {"If-None-Match": first.headers["etag"]}
    assert httpx.get(address, headers=headers | {"X-Forwarded-Prefix": "/a"}).status_code == 304
    assert httpx.get(address, headers=headers | {"X-Forwarded-Prefix": "/b"}).status_code == 200


def test_a_proxy_that_connects_by_ipv4_to_a_socket_for_both_versions_is_trusted(
    serve: Serve,
) -> None:
    dashboard = serve(host="::", allow_anonymous=True, **LOOPBACK)
    address = dashboard.address.replace("localhost", "127.0.0.1")
    assert stylesheet(address, **{"X-Forwarded-Prefix": "/a"}).startswith("/a/static/")


@pytest.mark.parametrize(
    "proxies", ["10.0.0.0/33", "10.0.0.1/8", "10.0.0", "nginx", "10.0.0.0/8;::1", "::1::"]
)
def test_a_proxy_that_is_no_address_is_refused_with_an_example(proxies: str) -> None:
    with pytest.raises(ConfigError, match=r"^CONDUCTOR_TRUSTED_PROXIES: .*e\.g\. CONDUCTOR_T"):
        Proxies(Options(trusted_proxies=("::1", proxies)))


@pytest.mark.parametrize(
    "path", ["engagement", "//a", "/a//b", "/a b", "/a?b", "/..", "/a/./b", "/ä"]
)
def test_a_base_path_that_is_no_path_is_refused_with_an_example(path: str) -> None:
    with pytest.raises(ConfigError, match=r"^CONDUCTOR_HTTP_BASE_PATH=.*e\.g\. CONDUCTOR_HTTP_B"):
        Proxies(Options(base_path=path))


@pytest.mark.parametrize("command", ["run", "dashboard"])
@pytest.mark.parametrize(
    ("variable", "value"),
    [("CONDUCTOR_TRUSTED_PROXIES", "10.0.0.0/33"), ("CONDUCTOR_HTTP_BASE_PATH", "engagement")],
)
def test_a_typo_ends_the_start_with_exit_code_2(
    valkey_url: str, tmp_path: Path, command: str, variable: str, value: str
) -> None:
    settings = {"REDIS_URL": valkey_url, "DATABASE_URL": "postgresql://127.0.0.1:9/none"}
    ended = run_to_end(command, cwd=tmp_path, **settings, **{variable: value})
    assert_refused(ended, variable, value)
