"""A session is shown whatever its id is."""

from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from playwright.sync_api import Page, Response, expect

from tests.dashboard.conftest import Serve, this_tick_ms
from tests.dashboard.page.conftest import Open
from tests.support.score_rows import row

Write = Callable[..., None]

IDS: Final = ("\n", "a\nb", ".", "..", "../..", "/", "a/..", "%2e%2e", "%0A", "?#", " ")


def test_the_page_shows_sessions_with_every_kind_of_id(
    serve: Serve, open_real: Open, store: Write, publish: Write
) -> None:
    rows = [row(each, this_tick_ms(ago), score=0.5) for each in IDS for ago in (2, 1)]
    store(*rows)
    window = open_real(serve().address)
    responses = _record_responses(window.page)
    page = window.open()
    publish(*rows)
    expect(page.locator(".row")).to_have_count(len(IDS))
    expect(page.locator(".row-trend", has_text="→")).to_have_count(len(IDS))
    for session_id in IDS:
        link = page.locator(f'.row-link[href="#/session/{quote(session_id, safe="")}"]')
        link.click()
        expect(page.locator(".score-number")).to_have_text("50")
        expect(page.locator(".fact-points")).to_have_text("2")
        page.reload()
        expect(page.locator(".fact-points")).to_have_text("2")
        expect(page.locator(".card-points").first).to_contain_text("of 30 points")
        page.go_back()
    paths = [each.url for each in responses if "/api/" in each.url]
    assert len(paths) >= 2 * len(IDS)
    assert [each.url for each in responses if each.status >= 400] == []


def _record_responses(page: Page) -> list[Response]:
    responses: list[Response] = []

    def record(response: Response) -> None:
        responses.append(response)

    page.on("response", record)
    return responses
