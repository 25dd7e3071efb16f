"""The page shows why the server refuses its connection, before or after it is made."""

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dashboard.clients import SECRET, token
from tests.dashboard.conftest import Serve
from tests.dashboard.fake_server import STATIC
from tests.dashboard.page.conftest import Open, Window
from tests.dashboard.raw import RawWebSocket
from tests.dashboard.reverse_proxy import Rules, reverse_proxy

REFUSALS: Final = r"status of (401|403|429)|WebSocket connection to|Cross-Origin-Opener-Policy"
HOST: Final = "app.test"


def expect_refusal(page: Page, reason: str) -> None:
    expect(page.locator(".connection-text")).to_have_text("Disconnected")
    text = f"The server refused the connection: {reason}"
    expect(page.locator(".connection-bar")).to_contain_text(text)


def refused(window: Window) -> Page:
    """Open a page that is not connected."""
    window.ignore(REFUSALS)
    window.page.goto(f"{window.service.url}/")
    return window.page


def test_a_page_beyond_the_connections_of_its_address_shows_the_reason_until_one_is_free(
    serve: Serve, open_real: Open
) -> None:
    dashboard = serve(clients_per_address=1)
    with RawWebSocket(dashboard.address) as other:
        other.connect()
        window = open_real(dashboard.address)
        page = refused(window)
        expect_refusal(page, "too many connections from this address")
    page.get_by_role("button", name="Retry").click()
    window.wait_until_live()
    expect(page.locator(".connection-bar")).to_be_hidden()


def test_a_page_beyond_the_clients_of_its_tenant_shows_the_reason_until_one_is_free(
    serve: Serve, open_real: Open
) -> None:
    dashboard = serve(clients_per_tenant=1)
    with RawWebSocket(dashboard.address) as other:
        other.connect()
        window = open_real(dashboard.address)
        page = refused(window)
        expect_refusal(page, "too many clients of this tenant")
    page.get_by_role("button", name="Retry").click()
    window.wait_until_live()


def test_a_page_behind_a_proxy_that_changes_the_host_shows_the_reason(
    serve: Serve, open_real: Open
) -> None:
    dashboard = serve()
    with reverse_proxy(dashboard.address, Rules(keeps_host=False), HOST) as address:
        page = refused(open_real(address))
        expect_refusal(page, f"not open to pages of {address}")
        expect(page.locator(".connection-bar")).to_contain_text("CONDUCTOR_ALLOWED_ORIGINS")
        page.context.close()


def test_a_page_of_another_origin_can_show_the_reason(
    serve: Serve, browser: Browser, other_site: str
) -> None:
    page = browser.new_page()
    page.goto(other_site)
    page.evaluate(
        """async (address) => {
          const { EngagementStream } = await import("/engagement-stream.js");
          const stream = new EngagementStream(address);
          stream.watchConnection((connection) => { globalThis.connection = connection; });
        }""",
        serve().address,
    )
    page.wait_for_function("() => globalThis.connection.isRefused")
    assert f"not open to pages of {other_site}" in page.evaluate("globalThis.connection.reason")
    page.close()


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        (token(expires_in_s=-60), "the token has expired"),
        (
            token(key="another secret of 32 bytes or more"),
            "the token is not accepted: its signature does not match the key",
        ),
    ],
    ids=["expired", "another key"],
)
def test_the_page_shows_why_a_token_is_not_accepted(
    serve: Serve, open_real: Open, shown: str, reason: str
) -> None:
    window = open_real(serve(jwt_secret=SECRET).address)
    window.ignore(REFUSALS)
    page = window.page
    page.goto(f"{window.service.url}/#token={shown}")
    expect_refusal(page, reason)
    dialog = page.get_by_role("dialog", name="This dashboard requires a token")
    expect(dialog.locator(".token-error")).to_contain_text(f"Server response: {reason}.")
    dialog.get_by_label("Token").fill(token())
    page.keyboard.press("Enter")
    window.wait_until_live()
    expect(dialog).to_be_hidden()


def test_a_page_without_a_token_asks_for_one_without_an_error(
    serve: Serve, open_real: Open
) -> None:
    page = refused(open_real(serve(jwt_secret=SECRET).address))
    expect_refusal(page, "a token is needed")
    dialog = page.get_by_role("dialog", name="This dashboard requires a token")
    expect(dialog.locator(".token-error")).to_have_text("")


@pytest.fixture
def other_site(tmp_path: Path) -> Iterator[str]:
    """The address of another site, whose page has a copy of the client."""
    shutil.copytree(STATIC, tmp_path, dirs_exist_ok=True)
    (tmp_path / "index.html").write_text('<link rel="icon" href="data:,">')
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://{HOST}:{server.server_port}"
        server.shutdown()
