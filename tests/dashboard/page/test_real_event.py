"""The event page and reports on the real dashboard and database."""

import csv
from collections.abc import Callable
from uuid import uuid4

import pytest
from playwright.sync_api import expect

from conductor_actors.domain.scoring import ScoreRow, Signals
from tests.dashboard.clients import SECRET, token
from tests.dashboard.conftest import Serve, this_tick_ms
from tests.dashboard.page.conftest import Open
from tests.support.score_rows import row

Write = Callable[..., None]

TICKS = 60


@pytest.fixture
def tenant() -> str:
    return f"t-{uuid4().hex}"


@pytest.fixture
def rows(tenant: str) -> list[ScoreRow]:
    """Return two sessions of an event, of which one has ended; its score falls at once."""
    ended = [
        row(
            "ended/1",
            this_tick_ms(3 * TICKS - tick),
            score=0.8 if tick < TICKS / 2 else 0.2,
            event_id="conf & 1",
            tenant_id=tenant,
            signals=Signals(0.0, 0.0, 0, 30, 0.0, 0.0),
            is_last=tick == TICKS - 1,
        )
        for tick in range(TICKS)
    ]
    live = [
        row(
            "live",
            this_tick_ms(TICKS - tick),
            score=0.6,
            event_id="conf & 1",
            tenant_id=tenant,
            signals=Signals(0.0, 0.0, 0, 90, 0.0, 0.0),
        )
        for tick in range(TICKS)
    ]
    return [*ended, *live]


def test_an_event_of_the_database_is_shown_with_its_moments_and_reports(
    serve: Serve, open_real: Open, store: Write, tenant: str, rows: list[ScoreRow]
) -> None:
    store(*rows)
    window = open_real(serve(jwt_secret=SECRET).address)
    page = window.page
    secret = token(tenant, claims={"events": ["conf & 1"]})
    page.goto(f"{window.service.url}/#token={secret}&/event/conf%20%26%201")
    window.wait_until_live()

    expect(page.get_by_role("heading", level=1)).to_have_text("conf & 1")
    expect(page.locator(".multiple-title")).to_have_text(["ended/1", "live"])
    expect(page.locator(".multiple-mean")).to_have_text(["50%", "60%"])
    expect(page.locator(".multiple-people")).to_have_text(["30", "90"])
    # The mean over time, as in the report, however many people there were.
    expect(page.locator(".event-figures")).to_contain_text("Average score55%")
    falls = page.locator(".moments-part", has_text="Largest falls")
    expect(falls.get_by_role("link")).to_have_count(1)
    expect(falls.get_by_role("link", name="↓ 60 points 80% → 20% ended/1")).to_be_visible()

    page.get_by_role("link", name="Report").click()
    expect(page.locator(".report-about")).to_have_text("2 sessions")
    expect(page.locator(".report-preliminary")).to_be_visible()
    expect(page.locator(".report-figures")).to_contain_text("Average score55%")
    expect(page.locator(".report-figures")).to_contain_text("People at most90")
    expect(page.locator(".report-foot")).to_contain_text("From 120 scores.")
    page.get_by_role("link", name="ended/1").first.click()
    expect(page.locator(".report-kind")).to_have_text("Report of a session")
    expect(page.locator(".report-figures")).to_contain_text("Average score50%Peak score80%")
    expect(page.locator(".report-pull-text")).to_contain_text("No other session")

    page.get_by_role("button", name="Export").click()
    page.get_by_text("What the columns mean").click()
    expect(page.locator(".export-columns dt").first).to_contain_text("time")
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download").click()
    exported = csv.DictReader(downloading.value.path().read_text("utf-8").splitlines())
    assert [float(each["engagement_score"]) for each in exported] == [0.8] * 30 + [0.2] * 30
