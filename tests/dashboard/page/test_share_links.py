"""The link of the command `token` on the page of the real dashboard."""

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from conductor_actors.commands.share_links import print_link
from tests.dashboard.clients import SECRET
from tests.dashboard.conftest import Serve, this_tick_ms
from tests.dashboard.page.conftest import Open
from tests.support.score_rows import row

Write = Callable[..., None]


def test_a_link_opens_its_session_and_shows_no_other(  # noqa: PLR0913, PLR0917 - fixtures
    serve: Serve,
    open_real: Open,
    publish: Write,
    session_id: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    named, other = f"{session_id} & 1/2", f"{session_id} other"
    address = serve(jwt_secret=SECRET).address
    monkeypatch.setenv("CONDUCTOR_JWT_SECRET", SECRET)
    monkeypatch.setenv("CONDUCTOR_HTTP_PORT", str(urlsplit(address).port))
    capsys.readouterr()
    print_link(tenant="acme", session=[named], expires="10m")
    link = capsys.readouterr().out.strip()

    def publish_both(ticks_ago: int) -> None:
        for each in (named, other):
            publish(row(each, this_tick_ms(ticks_ago), tenant_id="acme"))

    publish_both(1)
    window = open_real(address)
    window.page.goto(link)
    window.wait_until_live()
    publish_both(0)
    page = window.page
    expect(page.locator(".score-number")).to_have_text("60")
    expect(page).to_have_title(f"60% {named} · Engagement")
    assert "token" not in page.url
    page.goto(f"{window.service.url}/#/")
    expect(page.locator(".row-session")).to_have_text([named])
