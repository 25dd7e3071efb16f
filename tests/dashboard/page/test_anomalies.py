"""The anomalies of the session that is shown: notice, chart, list, and feedback."""

import re

import pytest
from playwright.sync_api import expect

from conductor_actors.domain.scoring import Signals
from tests.dashboard.fake_server import FakeService
from tests.dashboard.page.chart_pixels import pixel
from tests.dashboard.page.conftest import Open, Window
from tests.dashboard.sample_bodies import (
    NOON_MS,
    TICK_MS,
    Body,
    incident,
    incident_end,
    record,
    update,
    update_with_score,
)

REASON = "2 messages and reactions in the last 20 s; 58 were expected of 60 people."
_FULL = [NOON_MS - back * TICK_MS for back in reversed(range(60))]
_EXPECTED = [0.55, 0.75]


@pytest.fixture
def keynote(service: FakeService) -> FakeService:
    """A service with a session that has full points and a baseline."""
    points = [update_with_score("keynote", at, 0.28) for at in _FULL]
    service.points["keynote"] = [one | {"expected": _EXPECTED} for one in points]
    return service


def _end(service: FakeService, began: Body, at_ms: int) -> None:
    service.tick(update_with_score("keynote", at_ms, 0.6))
    service.end_anomaly(incident_end(began, at_ms))


def test_the_notice_shows_what_began_why_since_when_and_for_how_long(
    window: Window, keynote: FakeService
) -> None:
    page = window.open("keynote")
    expect(page.locator(".score-number")).to_have_text("28")

    keynote.send_anomaly(incident("keynote", NOON_MS))

    notice = page.locator(".notice")
    expect(notice).to_have_attribute("data-severity", "critical")
    expect(notice.locator(".notice-title")).to_have_text("Critical: Sudden drop")
    expect(notice.locator(".notice-text")).to_have_text(REASON)
    expect(notice.locator(".notice-time")).to_have_text(re.compile(r"since 11:59:50, for 1\d s"))
    first = notice.locator(".notice-time").inner_text()
    expect(notice.locator(".notice-time")).not_to_have_text(first)  # it is live


def test_the_notice_follows_the_score_while_an_anomaly_is_open(
    window: Window, keynote: FakeService
) -> None:
    page = window.open("keynote")
    began = incident("keynote", NOON_MS)
    keynote.send_anomaly(began)
    expect(page.locator(".notice-expected")).to_have_text("62%")
    expect(page.locator(".notice-actual")).to_have_text("28%")

    keynote.tick(update_with_score("keynote", NOON_MS + TICK_MS, 0.05))
    expect(page.locator(".notice-actual")).to_have_text("5%")
    _end(keynote, began, NOON_MS + 2 * TICK_MS)
    expect(page.locator(".notice-figures")).to_be_hidden()


def test_the_duration_stands_still_while_no_ticks_arrive(
    window: Window, keynote: FakeService
) -> None:
    page = window.open("keynote")
    keynote.send_anomaly(incident("keynote", NOON_MS))
    expect(page.locator(".notice-time")).to_contain_text("for 1")

    page.evaluate("() => { const at = performance.now() + 6e5; performance.now = () => at; }")
    expect(page.locator(".notice-time")).to_have_text("since 11:59:50, for 20 s")


def test_the_notice_shows_the_recovery_for_five_minutes(
    window: Window, keynote: FakeService
) -> None:
    page = window.open("keynote")
    began = incident("keynote", NOON_MS)
    keynote.send_anomaly(began)
    expect(page.locator(".notice")).to_have_attribute("data-severity", "critical")

    _end(keynote, began, NOON_MS + 120_000)

    notice = page.locator(".notice")
    expect(notice).to_have_attribute("data-severity", "ended")
    expect(notice.locator(".notice-title")).to_have_text("Recovered after 2 min 10 s")
    expect(notice.locator(".notice-time")).to_have_text("Sudden drop, 11:59:50 \u2013 12:02:00")
    keynote.tick(update_with_score("keynote", NOON_MS + 415_000, 0.6))
    expect(page.locator(".score-trend")).to_contain_text("no earlier score")
    expect(notice).to_have_attribute("data-severity", "ended")
    keynote.tick(update_with_score("keynote", NOON_MS + 420_000, 0.6))
    expect(notice.locator(".notice-title")).to_have_text("No anomaly reported")


def test_an_open_anomaly_is_shown_for_longer_than_five_minutes(
    window: Window, keynote: FakeService
) -> None:
    keynote.anomalies.append(record(incident("keynote", NOON_MS)))
    page = window.open("keynote")
    expect(page.locator(".notice")).to_have_attribute("data-severity", "critical")

    keynote.tick(update_with_score("keynote", NOON_MS + 3_600_000, 0.1))

    expect(page.locator(".score-number")).to_have_text("10")
    expect(page.locator(".notice-time")).to_contain_text("since 11:59:50, for 1 h")


def test_an_end_that_was_missed_is_shown_after_the_reconnection(
    window: Window, keynote: FakeService
) -> None:
    window.ignore("WebSocket|ERR_")
    began = incident("keynote", NOON_MS)
    keynote.anomalies.append(record(began))
    page = window.open("keynote")
    expect(page.locator(".notice")).to_have_attribute("data-severity", "critical")

    keynote.stop()
    expect(page.locator(".connection-text")).to_contain_text("Reconnecting")
    end = incident_end(began, NOON_MS + 60_000)
    keynote.anomalies[0] |= {"endedAt": end["timestamp"], "durationS": end["durationS"]}
    keynote.start()
    window.wait_until_live()

    expect(page.locator(".notice")).to_have_attribute("data-severity", "ended")
    expect(page.locator(".notice-title")).to_have_text("Recovered after 1 min 10 s")


def test_screen_readers_announce_a_begin_and_its_end_once_but_no_duration(
    window: Window, keynote: FakeService
) -> None:
    page = window.open("keynote")
    expect(page.locator(".score-number")).to_have_text("28")
    page.evaluate(
        """() => {
          window.announced = [];
          for (const id of ["alarms", "announcements"]) {
            const region = document.getElementById(id);
            const record = () => region.textContent && window.announced.push(region.textContent);
            new MutationObserver(record).observe(region, { childList: true });
          }
        }"""
    )
    began = incident("keynote", NOON_MS)

    keynote.send_anomaly(began)
    expect(page.locator(".notice-time")).to_contain_text("for 12 s")
    _end(keynote, began, NOON_MS + TICK_MS)
    expect(page.locator(".notice")).to_have_attribute("data-severity", "ended")

    begin = f"Critical: Sudden drop. {REASON} Expected 62%, actual 28%."
    end = "Recovered after 15 s: Sudden drop."
    expect(page.locator("#announcements")).to_have_text(end)
    announced = page.evaluate("window.announced")
    assert [one for one in announced if "Now " not in one] == [begin, end]
    assert page.locator(".notice").locator("[aria-live], [role=status], [role=alert]").count() == 0


def test_not_a_problem_is_stored_with_the_anomaly(window: Window, keynote: FakeService) -> None:
    page = window.open("keynote")
    keynote.send_anomaly(incident("keynote", NOON_MS))
    expect(page.locator(".past-item")).to_have_count(1)

    page.locator(".notice").get_by_role("button", name="Not a problem").click()

    marked = page.get_by_role("button", name="Marked as not a problem", disabled=True)
    expect(marked).to_have_count(2)  # in the notice and in the list
    assert keynote.feedback == [(f"keynote-{NOON_MS}", {"verdict": "not_a_problem"})]
    page.reload()
    expect(marked).to_have_count(2)


def test_feedback_that_was_not_stored_can_be_sent_again(
    window: Window, keynote: FakeService
) -> None:
    window.ignore("503|ERR_FAILED")
    keynote.anomalies.append(record(incident("keynote", NOON_MS)))
    page = window.open("keynote")
    page.route("**/feedback", lambda route: route.abort())
    notice = page.locator(".notice")
    notice.get_by_role("button", name="Not a problem").click()
    expect(notice.get_by_role("button", name="Not stored, try again")).to_be_visible()

    page.unroute("**/feedback")
    notice.get_by_role("button", name="Not stored, try again").click()

    expect(notice.get_by_role("button", name="Marked as not a problem")).to_be_visible()


def test_an_anomaly_of_another_publisher_has_no_feedback(
    window: Window, keynote: FakeService
) -> None:
    page = window.open("keynote")
    began = incident("keynote", NOON_MS)
    keynote.send_anomaly({key: one for key, one in began.items() if key != "id"})

    expect(page.locator(".notice")).to_have_attribute("data-severity", "critical")
    expect(page.locator(".notice-feedback")).to_be_hidden()


def test_the_chart_shades_the_time_of_an_anomaly_and_marks_its_begin_and_end(
    window: Window, keynote: FakeService
) -> None:
    began = incident("keynote", NOON_MS - 190_000)  # from 11:56:40
    ended = {"endedAt": "2026-01-04T11:58:20.000Z", "durationS": 90}
    keynote.anomalies.append(record(began, **ended))
    page = window.open("keynote")
    expect(page.locator(".session").get_by_text("Time of an anomaly")).to_be_visible()
    expect(page.locator(".fact-points")).to_have_text("60")

    above = 0.9  # the curve, its area and the expected range
    outside = [pixel(page, NOON_MS - ago, above) for ago in (250_000, 50_000)]
    assert [colour[3] for colour in outside] == [0, 0]
    inside = pixel(page, NOON_MS - 150_000, above)
    assert 0 < inside[3] < 100
    assert inside[0] > 2 * inside[1]  # red
    for edge_ms in (NOON_MS - 200_000, NOON_MS - 100_000):
        opacities = [pixel(page, edge_ms + nudge, above)[3] for nudge in range(-700, 701, 100)]
        assert max(opacities) > 150


def test_the_chart_shows_the_range_of_scores_that_was_expected(
    window: Window, service: FakeService
) -> None:
    points = [update_with_score("keynote", at, 0.28) for at in _FULL]
    later = [one | {"expected": _EXPECTED} for one in points[30:]]
    service.points["keynote"] = points[:30] + later
    page = window.open("keynote")
    expect(page.locator(".session").get_by_text("Expected range")).to_be_visible()

    assert pixel(page, NOON_MS - 50_000, 0.65)[3] > 0
    assert pixel(page, NOON_MS - 50_000, 0.85)[3] == 0
    assert pixel(page, NOON_MS - 250_000, 0.65)[3] == 0


def test_the_legend_names_only_what_the_chart_shows(window: Window, service: FakeService) -> None:
    service.points["keynote"] = [update_with_score("keynote", NOON_MS, 0.28)]
    page = window.open("keynote")
    expect(page.locator(".score-number")).to_have_text("28")

    expect(page.locator(".session").get_by_text("Critical below 30%")).to_be_visible()
    expect(page.locator(".session").get_by_text("Expected range")).to_be_hidden()
    expect(page.locator(".session").get_by_text("Time of an anomaly")).to_be_hidden()


def test_the_keyboard_reads_the_expected_range_and_the_anomaly_of_a_point(
    window: Window, keynote: FakeService
) -> None:
    keynote.anomalies.append(record(incident("keynote", NOON_MS)))
    page = window.open("keynote")
    expect(page.locator(".notice")).to_have_attribute("data-severity", "critical")
    page.locator(".chart").focus()
    page.keyboard.press("End")

    text = "12:00:00, 28%, Low, expected 55% to 75%, sudden drop"
    expect(page.locator(".chart")).to_have_attribute("aria-valuetext", text)
    expect(page.locator(".tooltip-more")).to_have_text("expected 55% to 75%\nsudden drop")
    page.keyboard.press("Home")
    text = "11:55:05, 28%, Low, expected 55% to 75%"
    expect(page.locator(".chart")).to_have_attribute("aria-valuetext", text)


def test_the_list_has_the_anomalies_of_the_session_the_newest_first(
    window: Window, keynote: FakeService
) -> None:
    decline = incident(
        "keynote",
        NOON_MS - 90_000_000,
        "WARNING",
        type="GRADUAL_DECLINE",
        reason="12 a minute within 4 minutes; 50 were expected.",
    )
    ended = {"endedAt": "2026-01-03T11:05:00.000Z", "durationS": 300}
    keynote.anomalies += [record(decline, **ended), record(incident("keynote", NOON_MS))]
    keynote.anomalies.append(record(incident("another", NOON_MS)))
    page = window.open("keynote")

    items = page.locator(".past-item")
    expect(items).to_have_count(2)
    expect(items.locator(".past-head")).to_have_text(
        ["Sudden drop Open", "Gradual decline Warning"]
    )
    expect(items.nth(1).locator(".past-times")).to_have_text(
        "3 Jan, 10:59:50 \u2013 11:05:00 5 min 10 s"
    )
    expect(items.nth(1).locator(".past-reason")).to_contain_text("50 were expected")
    _end(keynote, incident("keynote", NOON_MS), NOON_MS + 60_000)
    expect(items.nth(0).locator(".past-head")).to_have_text("Sudden drop Critical")


@pytest.mark.parametrize(
    ("chats_per_min", "text"),
    [
        (54.0, "At this rate of messages and reactions, a stop is noticeable after 10 s."),
        (3.0, "Too few messages and reactions to tell a stop from chance."),
    ],
)
def test_the_notice_says_after_how_long_a_stop_is_noticeable(
    window: Window, service: FakeService, chats_per_min: float, text: str
) -> None:
    signals = Signals(chats_per_min, 0, 20, 50, 0, 0)
    service.points["keynote"] = [update("keynote", NOON_MS, signals)]
    page = window.open("keynote")

    expect(page.locator(".notice-title")).to_have_text("No anomaly reported")
    expect(page.locator(".notice-text")).to_have_text(text)


def test_a_session_without_anomalies_shows_that_there_are_none(
    window: Window, keynote: FakeService
) -> None:
    page = window.open("keynote")

    expect(page.locator(".past-state")).to_have_text(
        "No anomaly has been reported in this session."
    )
    keynote.send_anomaly(incident("keynote", NOON_MS))
    expect(page.locator(".past-item")).to_have_count(1)
    expect(page.locator(".past-state")).to_be_hidden()


def test_stored_anomalies_that_cannot_be_read_leave_the_rest_of_the_page_as_it_is(
    window: Window, keynote: FakeService
) -> None:
    window.ignore("503")
    body = '{"error": {"code": "x", "message": "the database is away"}}'
    window.page.route(
        "**/anomalies?session=keynote", lambda route: route.fulfill(status=503, body=body)
    )
    page = window.open("keynote")

    expect(page.locator(".past-state")).to_contain_text("the database is away")
    keynote.send_anomaly(incident("keynote", NOON_MS))
    expect(page.locator(".notice")).to_have_attribute("data-severity", "critical")
    expect(page.locator(".past-item")).to_have_count(1)


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_an_anomaly_its_end_and_a_break_cause_no_layout_shift(
    open_window: Open, keynote: FakeService, width: int
) -> None:
    window = open_window(viewport={"width": width, "height": 900})
    page = window.page
    page.add_init_script(
        """window.shifts = 0;
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) window.shifts += entry.value;
        }).observe({ type: "layout-shift", buffered: true });"""
    )
    window.open("keynote")
    expect(page.locator(".past-state")).to_contain_text("No anomaly")
    before = page.evaluate("window.shifts")
    began = incident("keynote", NOON_MS, reason=f"{REASON} {REASON} {REASON}")

    keynote.send_anomaly(began)
    expect(page.locator(".notice")).to_have_attribute("data-severity", "critical")
    _end(keynote, began, NOON_MS + TICK_MS)
    expect(page.locator(".notice")).to_have_attribute("data-severity", "ended")
    keynote.tick(
        update_with_score("keynote", NOON_MS + 2 * TICK_MS, 0.28)
        | {"quietUntil": "2026-01-04T12:30:00.000Z"}
    )
    expect(page.locator(".break-state")).to_be_visible()

    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.evaluate("window.shifts") - before < 0.002
    assert page.evaluate("document.documentElement.scrollWidth") == width
