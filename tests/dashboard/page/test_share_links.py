"""The link of the command `token` on the page: it opens one session or event, without a list."""

import re
from collections.abc import Callable, Iterator
from urllib.parse import quote, urlsplit

import pytest
import structlog
from playwright.sync_api import expect

from conductor_actors.commands.share_links import print_link
from tests.dashboard.clients import SECRET, token
from tests.dashboard.conftest import Serve, this_tick_ms
from tests.dashboard.page.conftest import Open, Window
from tests.support.score_rows import row

Write = Callable[..., None]


@pytest.fixture(autouse=True)
def _default_log() -> Iterator[None]:
    """Undo what the command configures for its process, which goes on with other tests."""
    yield
    structlog.reset_defaults()


def test_a_link_to_an_event_opens_it_and_lists_its_sessions_only(  # noqa: PLR0913, PLR0917 - fixtures
    serve: Serve,
    open_real: Open,
    store: Write,
    session_id: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    event, other = f"expo {session_id}", f"other {session_id}"
    for named, of in ((session_id, event), (f"{session_id}-2", other)):
        for tick in range(3):
            at_ms = this_tick_ms(tick + 1)
            store(row(named, at_ms, tenant_id="acme", event_id=of))
    address = serve(jwt_secret=SECRET).address
    monkeypatch.setenv("CONDUCTOR_JWT_SECRET", SECRET)
    monkeypatch.setenv("CONDUCTOR_HTTP_PORT", str(urlsplit(address).port))
    capsys.readouterr()
    print_link(tenant="acme", event=[event], expires="10m")
    page = open_real(address).page
    page.goto(capsys.readouterr().out.strip())
    expect(page.locator("body")).to_contain_text(session_id)
    expect(page.locator("body")).to_contain_text(event)
    expect(page.locator("body")).not_to_contain_text(f"{session_id}-2")
    expect(page.locator("body")).not_to_contain_text(other)
    page.goto(f"{address}#/sessions")
    expect(page.locator("body")).to_contain_text(session_id)
    expect(page.locator("body")).not_to_contain_text(f"{session_id}-2")


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
    expect(page).to_have_url(re.compile(f"#/session/{quote(named, safe='')}$"))
    expect(page.locator(".row")).to_have_count(0)
    window.ignore("403")
    page.goto(f"{window.service.url}/#/session/{quote(other)}")
    expect(page.locator(".chart-state")).to_contain_text("could not be loaded")


def _address_with(window: Window, **claims: list[str]) -> str:
    """Open the page with a token, and return the address that it shows."""
    window.ignore("404")  # nothing is stored of these events
    window.service.token = token(claims=claims)
    window.page.goto(f"{window.service.url}/#token={window.service.token}")
    window.wait_until_live()
    return urlsplit(window.page.url).fragment


def test_a_token_for_one_session_or_event_shows_it_instead_of_a_list(open_window: Open) -> None:
    window = open_window()
    assert _address_with(window, sessions=["\u00e4/b"]) == "/session/%C3%A4%2Fb"
    expect(window.page.get_by_role("navigation")).to_have_count(0)
    expect(window.page.get_by_role("link", name="All sessions", exact=True)).to_have_count(0)

    window = open_window()
    assert _address_with(window, events=["conf-2026"]) == "/event/conf-2026"
    expect(window.page.get_by_role("navigation")).to_have_count(0)
    window.page.goto(f"{window.service.url}/#/session/keynote")
    window.page.get_by_role("link", name="All sessions", exact=True).click()
    expect(window.page.locator(".event-view")).to_be_visible()


def test_a_token_for_several_sessions_or_events_shows_the_list(open_window: Open) -> None:
    for claims in ({"sessions": ["a", "b"]}, {"sessions": ["a"], "events": ["b"]}, {}):
        window = open_window()
        assert _address_with(window, **claims) == "/"
        expect(window.page.locator(".overview")).to_be_visible()
        expect(window.page.get_by_role("navigation")).to_be_visible()


def test_a_token_that_is_entered_shows_what_it_opens(open_window: Open) -> None:
    window = open_window()
    window.ignore("401|404")
    window.service.token = token(claims={"events": ["conf-2026"]})
    page = window.page
    page.goto(window.service.url)
    page.get_by_label("Token", exact=True).fill(window.service.token)
    page.get_by_role("button", name="Show sessions").click()

    expect(page).to_have_url(f"{window.service.url}/#/event/conf-2026")
    expect(page.get_by_role("heading", level=1)).to_have_text("conf-2026")
