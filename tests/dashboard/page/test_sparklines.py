"""Every visible row has the sparkline of its stored scores, by few requests."""

from collections.abc import Callable
from typing import Any, Final

from playwright.sync_api import Page, Route, expect

from tests.dashboard.conftest import Serve, this_tick_ms
from tests.dashboard.page.conftest import Open
from tests.dashboard.sample_bodies import varied_update
from tests.support.score_rows import row

Write = Callable[..., None]

SESSIONS: Final = [f"session {number:02}" for number in range(50)]
TICKS: Final = 60
HISTORIES: Final = "/api/v1/histories"
# A sparkline is complete if it has points at one and at three quarters of the width.
_DRAWN_ROWS: Final = """() => [...document.querySelectorAll(".row")].filter((row) => {
  const canvas = row.querySelector(".row-spark");
  const { width, height } = canvas;
  const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  return [1 / 4, 3 / 4].every((part) => copy
    .getImageData(Math.round(width * part), 0, 1, height)
    .data.some((value, index) => index % 4 === 3 && value > 0));
}).map((row) => row.querySelector(".row-session").textContent)"""


def rows_of(session_ids: list[str]) -> list[Any]:
    """Return the rows of five minutes; the scores are as varied as real ones."""
    return [
        row(each, this_tick_ms(ago), score=varied_update(each, index, this_tick_ms(ago))["score"])
        for index, each in enumerate(session_ids)
        for ago in range(TICKS, 0, -1)
    ]


def record_requests(page: Page) -> list[str]:
    """Record the addresses of the requests for histories."""
    urls: list[str] = []
    page.on("request", lambda each: urls.append(each.url) if "/histories" in each.url else None)
    return urls


def drawn_rows(page: Page) -> list[str]:
    """Return the names of the sessions whose sparkline is complete."""
    found: list[str] = page.evaluate(_DRAWN_ROWS)
    return found


def wait_until_drawn(page: Page, count: int) -> None:
    """Wait until so many rows have a complete sparkline."""
    page.wait_for_function(f"(count) => ({_DRAWN_ROWS})().length >= count", arg=count)


def _refuse_as_busy(route: Route) -> None:
    route.fulfill(status=429, headers={"Retry-After": "1"}, json={})


def test_a_list_of_50_sessions_has_all_sparklines_after_two_requests(
    serve: Serve, open_real: Open, store: Write, publish: Write
) -> None:
    rows = rows_of(SESSIONS)
    store(*rows)
    window = open_real(serve().address, viewport={"width": 1280, "height": 4000})
    urls = record_requests(window.page)
    page = window.open()
    publish(*rows[TICKS - 1 :: TICKS])
    expect(page.locator(".row")).to_have_count(len(SESSIONS))
    wait_until_drawn(page, len(SESSIONS))
    assert sorted(drawn_rows(page)) == SESSIONS
    assert len(urls) == 2
    assert all(HISTORIES in url for url in urls)


def test_scrolling_through_50_sessions_takes_few_requests(
    serve: Serve, open_real: Open, store: Write, publish: Write
) -> None:
    rows = rows_of(SESSIONS)
    store(*rows)
    window = open_real(serve().address)
    urls = record_requests(window.page)
    page = window.open()
    publish(*rows[TICKS - 1 :: TICKS])
    drawn: set[str] = set()
    expect(page.locator(".overview-counts")).to_contain_text("50 live")
    for _ in range(20):
        page.mouse.wheel(0, 200)
        page.wait_for_timeout(20)
    page.wait_for_timeout(500)
    for _ in range(20):
        drawn |= set(drawn_rows(page))
        page.mouse.wheel(0, -200)
        page.wait_for_timeout(100)
    drawn |= set(drawn_rows(page))
    assert sorted(drawn) == SESSIONS
    assert len(urls) <= 15


def test_sparklines_that_the_busy_service_refused_are_requested_again_when_it_says(
    serve: Serve, open_real: Open, store: Write, publish: Write
) -> None:
    rows = rows_of(SESSIONS[:3])
    store(*rows)
    window = open_real(serve().address)
    window.ignore("status of 429")
    window.page.route(f"**{HISTORIES}*", _refuse_as_busy, times=1)
    urls = record_requests(window.page)
    page = window.open()
    with page.expect_response(lambda each: HISTORIES in each.url and each.status == 429):
        publish(*rows[TICKS - 2 :: TICKS])
    expect(page.locator(".row")).to_have_count(3)
    page.wait_for_timeout(1000)
    assert (drawn_rows(page), len(urls)) == ([], 1)
    publish(*rows[TICKS - 1 :: TICKS])
    wait_until_drawn(page, 3)
    assert len(urls) == 2


def test_long_ids_are_requested_in_addresses_that_proxies_accept(
    serve: Serve, open_real: Open, store: Write, publish: Write
) -> None:
    names = [f"{number:02} {'ä😀' * 80}" for number in range(12)]
    rows = rows_of(names)
    store(*rows)
    window = open_real(serve().address, viewport={"width": 1280, "height": 4000})
    urls = record_requests(window.page)
    page = window.open()
    publish(*rows[TICKS - 1 :: TICKS])
    wait_until_drawn(page, len(names))
    assert len(urls) == len(names) / 2
    assert max(map(len, urls)) < 8000
