"""Anomalies and breaks on the page of the real dashboard, with real servers."""

import json
from collections.abc import Callable
from typing import Final, cast
from uuid import uuid4

import redis
from playwright.sync_api import expect

from conductor_actors.domain.anomalies.changes import ExpectedScore
from tests.dashboard.clients import SECRET, token
from tests.dashboard.conftest import Serve, this_tick_ms
from tests.dashboard.page.conftest import Open
from tests.support.score_rows import began, ended, row

Write = Callable[..., None]

COMMANDS: Final = "conductor:commands"
EXPECTED: Final = ExpectedScore(0.5, 0.7)


def test_an_anomaly_begins_is_reported_as_no_problem_ends_and_is_in_the_list(
    serve: Serve, open_real: Open, store: Write, publish: Write, session_id: str
) -> None:
    anomaly_id = str(uuid4())
    at_ms = this_tick_ms(3)
    change = began(anomaly_id, onset_ms=at_ms - 9_000)
    begin = row(session_id, at_ms, score=0.3, expected=EXPECTED, anomalies=(change,))
    end = row(session_id, this_tick_ms(1), anomalies=(ended(anomaly_id, at_ms),))
    calm = row(session_id, this_tick_ms(4), expected=EXPECTED)
    store(calm)
    window = open_real(serve().address)
    page = window.open(session_id)
    publish(calm)
    expect(page.locator(".score-number")).to_have_text("60")

    store(begin)
    publish(begin)
    notice = page.locator(".notice")
    expect(notice).to_have_attribute("data-severity", "critical")
    expect(notice.locator(".notice-text")).to_have_text(change.reason)
    expect(page).to_have_title(f"(1) 30% {session_id} · Engagement")
    expect(page.locator(".session").get_by_text("Expected range")).to_be_visible()
    notice.get_by_role("button", name="Not a problem").click()
    expect(notice.get_by_role("button", name="Marked as not a problem")).to_be_visible()

    store(end)
    publish(end)
    expect(notice.locator(".notice-title")).to_have_text("Recovered after 19 s")
    expect(page).to_have_title(f"60% {session_id} · Engagement")
    page.reload()
    expect(notice.locator(".notice-title")).to_have_text("Recovered after 19 s")
    expect(page.locator(".past-item .past-length")).to_have_text("19 s")
    expect(page.locator(".past-feedback")).to_have_text("Marked as not a problem")


def test_a_session_with_an_open_anomaly_is_the_first_of_the_list_until_it_ends(
    serve: Serve, open_real: Open, store: Write, publish: Write, session_id: str
) -> None:
    anomaly_id = str(uuid4())
    at_ms = this_tick_ms(2)
    worse = row("worse", at_ms, score=0.1)
    begin = row(session_id, at_ms, anomalies=(began(anomaly_id, onset_ms=at_ms - 9_000),))
    end = row(session_id, this_tick_ms(1), anomalies=(ended(anomaly_id, at_ms),))
    store(worse, begin)
    page = open_real(serve().address).open()
    publish(worse, begin)

    expect(page.locator(".row-session")).to_have_text([session_id, "worse"])
    expect(page.locator(".row-anomaly:visible")).to_contain_text("Sudden drop")
    expect(page).to_have_title("(1) Engagement")
    page.get_by_role("checkbox", name="With anomalies").check()
    expect(page.locator(".row-session")).to_have_text([session_id])
    store(end)
    publish(end)
    expect(page).to_have_title("Engagement")
    expect(page.locator(".overview-state")).to_contain_text("No open anomalies")


def test_a_break_is_written_for_the_collector_and_shown_as_it_has_it(
    serve: Serve, open_real: Open, publish: Write, redis_client: redis.Redis, session_id: str
) -> None:
    at_ms = this_tick_ms(3)
    page = open_real(serve().address).open(session_id)
    publish(row(session_id, at_ms))
    expect(page.locator(".score-number")).to_have_text("60")

    page.get_by_role("button", name="Break until …").click()
    page.get_by_role("button", name="15 min").click()

    expect(page.locator(".break-state")).to_contain_text("Break until")
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", redis_client.xrange(COMMANDS))
    assert session_id in {json.loads(fields[b"data"])["sessionId"] for _, fields in entries}
    publish(row(session_id, this_tick_ms(2), quiet_until_ms=at_ms + 600_000))
    expect(page.locator(".fact-points")).to_have_text("2")
    publish(row(session_id, this_tick_ms(1), quiet_until_ms=0))  # somebody else has ended it
    expect(page.get_by_role("button", name="Break until …")).to_be_visible()


def test_a_token_without_the_claim_has_no_button_for_breaks(
    serve: Serve, open_real: Open, publish: Write, session_id: str
) -> None:
    dashboard = serve(jwt_secret=SECRET)
    publish(row(session_id, this_tick_ms(1)))
    for claims, is_there in (({}, False), ({"conduct": True}, True)):
        window = open_real(dashboard.address)
        own = token("default", claims=claims)
        window.page.goto(f"{dashboard.address}#token={own}&/session/{session_id}")
        window.wait_until_live()
        expect(window.page.locator(".score-number")).to_have_text("60")
        expect(window.page.locator(".break")).to_be_visible(visible=is_there)
