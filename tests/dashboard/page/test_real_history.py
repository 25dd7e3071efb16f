"""The history and the page of a session that has ended, with real servers."""

from collections.abc import Callable
from uuid import uuid4

from playwright.sync_api import expect

from tests.dashboard.conftest import Serve, this_tick_ms
from tests.dashboard.page.conftest import Open
from tests.support.score_rows import row

Write = Callable[..., None]


def test_a_session_that_has_ended_gets_a_title_and_is_found_by_it_with_its_curve(
    serve: Serve, open_real: Open, store: Write, session_id: str
) -> None:
    title = f"Keynote {uuid4().hex}"
    ticks = [ago for ago in range(240, 0, -1) if ago not in range(100, 160)]
    rows = [row(session_id, this_tick_ms(ago), event_id=session_id) for ago in ticks]
    store(*rows[:-1], row(session_id, this_tick_ms(1), event_id=session_id, is_last=True))
    page = open_real(serve().address).open(session_id)
    expect(page.locator(".about-ended")).to_contain_text("Ended at")
    expect(page.locator(".score-number")).to_have_text("60")
    expect(page.locator(".fact-points")).to_have_text("180")
    expect(page.locator(".legend-missing")).to_be_visible()
    chat = page.locator(".part", has_text="Chat").locator(".part-points")
    expect(chat).to_have_text("25.3")

    page.get_by_role("button", name="Rename …").click()
    page.get_by_label("Title", exact=True).fill(title)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    page.keyboard.press("Escape")
    page.get_by_role("searchbox", name="Search the history").fill(title.upper())
    found = page.locator(".history-row .row-session")
    expect(found).to_have_text([title])
    expect(found).to_have_attribute("title", session_id)
    page.locator(".history-link").click()
    expect(page.locator(".fact-points")).to_have_text("180")


def test_a_live_session_is_shown_from_its_beginning_with_what_arrives(
    serve: Serve, open_real: Open, store: Write, publish: Write, session_id: str
) -> None:
    rows = [row(session_id, this_tick_ms(ago), score=0.6) for ago in range(120, 1, -1)]
    newest = row(session_id, this_tick_ms(1), score=0.9)
    store(*rows)
    page = open_real(serve().address).open(session_id)
    publish(rows[-1])
    expect(page.locator(".score-number")).to_have_text("60")
    page.get_by_role("radio", name="All").check(force=True)
    expect(page.locator(".fact-points")).to_have_text("119")

    publish(newest)
    expect(page.locator(".fact-points")).to_have_text("120")
