"""The page, its API, Socket.IO and the client module work behind a path of a reverse proxy."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from conductor_actors.domain.scoring import ScoreRow
from tests.dashboard.clients import SECRET, token
from tests.dashboard.conftest import Serve, this_tick_ms
from tests.dashboard.page.conftest import Open
from tests.dashboard.reverse_proxy import Rules, reverse_proxy
from tests.support.score_rows import row

Write = Callable[..., None]

PATH: Final = "/live/engagement"
CONFIGURED: Final = {"base_path": PATH}
TRUSTING: Final = {"trusted_proxies": ("127.0.0.1",)}
FORWARDED: Final = {"X-Forwarded-Prefix": PATH, "X-Forwarded-For": "192.0.2.7"}
_WATCH: Final = """async ([url, session]) => {
  const { EngagementStream } = await import(`${url}/static/engagement-stream.js`);
  new EngagementStream(url).watchSession(session, ({ latest, connection }) => {
    globalThis.shown = `${connection.phase} ${latest?.score}`;
  });
}"""


@pytest.mark.parametrize(
    "proxied",
    [
        (CONFIGURED, Rules(PATH)),
        (CONFIGURED, Rules(PATH, removes_path=True)),
        (CONFIGURED, Rules(PATH, removes_path=True, allows_websockets=False)),
        (TRUSTING, Rules(PATH, removes_path=True, headers=FORWARDED)),
        (TRUSTING, Rules(PATH, headers=FORWARDED)),
    ],
    ids=["kept", "removed", "polling", "forwarded and removed", "forwarded and kept"],
)
def test_the_page_and_the_client_work_behind_a_path(
    serve: Serve,
    open_real: Open,
    publish: Write,
    stored: list[ScoreRow],
    proxied: tuple[dict[str, Any], Rules],
) -> None:
    options, rules = proxied
    with reverse_proxy(serve(**options).address, rules) as address:
        window = open_real(address)
        window.ignore("WebSocket connection to" if not rules.allows_websockets else "$^")
        failed = _record_failures(window.page)
        page = window.open()
        publish(*stored)
        expect(page.locator(".row-score")).to_have_text("50%")
        expect(page.locator(".row-trend")).to_have_text("→")
        page.locator(".row-link").click()
        expect(page.locator(".fact-points")).to_have_text("2")
        expect(page.locator(".card-points").first).to_contain_text("of 30 points")
        page.goto(address)  # without a slash at its end
        page.reload()
        window.wait_until_live()
        expect(page.locator(".row-score")).to_have_text("50%")
        page.evaluate(_WATCH, [address, stored[0].session_id])
        page.wait_for_function('() => globalThis.shown === "live 0.5"')
        publish(row(stored[0].session_id, this_tick_ms(), score=0.75))
        page.wait_for_function('() => globalThis.shown === "live 0.75"')
        expect(page.locator(".row-score")).to_have_text("75%")
        page.context.close()
    assert failed == []


def test_a_token_in_the_address_is_used_behind_a_path(
    serve: Serve, open_real: Open, publish: Write
) -> None:
    dashboard = serve(jwt_secret=SECRET, **CONFIGURED)
    with reverse_proxy(dashboard.address, Rules(PATH)) as address:
        window = open_real(address)
        page = window.page
        page.goto(f"{address}/#token={token('acme')}&/session/keynote")
        window.wait_until_live()
        publish(row("keynote", this_tick_ms(), tenant_id="acme", score=0.5))
        expect(page.locator(".score-number")).to_have_text("50")
        expect(page.locator(".card-points").first).to_contain_text("of 30 points")
        assert page.url == f"{address}/#/session/keynote"
        page.context.close()


@pytest.fixture
def stored(store: Write, session_id: str) -> list[ScoreRow]:
    """Two stored scores of a session."""
    rows = [row(session_id, this_tick_ms(ago), score=0.5) for ago in (2, 1)]
    store(*rows)
    return rows


def _record_failures(page: Page) -> list[str]:
    failed: list[str] = []
    page.on("response", lambda each: failed.append(each.url) if each.status >= 400 else None)
    return failed
