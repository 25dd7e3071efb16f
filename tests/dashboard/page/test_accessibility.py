from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, expect

from conductor_actors.domain.conductor.interventions import MeasuredOutcome
from conductor_actors.wire.updates import timestamp
from tests.dashboard.fake_server import FakeService
from tests.dashboard.page.conftest import Open, Window
from tests.dashboard.sample_bodies import (
    NOON_MS,
    TICK_MS,
    anomaly,
    incident,
    record,
    update_with_score,
)
from tests.dashboard.sample_history import rows_between
from tests.dashboard.sample_history import summary as stored
from tests.dashboard.sample_interventions import effect, held, measured, suggestion
from tests.dashboard.sample_reports import EVENT, live, overview, report, summary, with_points

_FULL = [NOON_MS - back * TICK_MS for back in reversed(range(60))]


def _overview(window: Window) -> None:
    window.open()
    expect(window.page.locator(".row")).to_have_count(4)


def _session(window: Window) -> None:
    page = window.open("keynote")
    expect(page.locator(".card-points").first).to_contain_text("of 30")
    page.locator(".chart").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".tooltip")).to_be_visible()


def _critical_anomaly(window: Window) -> None:
    page = window.open("town-hall")
    expect(page.locator(".card-points").first).to_contain_text("of 30")
    window.service.send_anomaly(anomaly("town-hall", NOON_MS, "CRITICAL", 0.8, 0.1))
    expect(page.locator(".notice")).to_have_attribute("data-severity", "critical")


def _warning(window: Window) -> None:
    page = window.open("workshop")
    expect(page.locator(".card-points").first).to_contain_text("of 30")
    window.service.send_anomaly(anomaly("workshop", NOON_MS, "WARNING", 0.8, 0.4))
    expect(page.locator(".notice")).to_have_attribute("data-severity", "warning")


def _open_anomaly(window: Window) -> None:
    window.service.anomalies.append(record(incident("town-hall", NOON_MS)))
    page = window.open("town-hall")
    expect(page.locator(".card-points").first).to_contain_text("of 30")
    expect(page.locator(".past-item")).to_have_count(1)
    page.locator(".chart").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".tooltip-more")).to_be_visible()


def _recovered(window: Window) -> None:
    feedback = {"verdict": "not_a_problem", "at": timestamp(NOON_MS), "by": None}
    end = {"endedAt": timestamp(NOON_MS), "durationS": 60, "feedback": feedback}
    window.service.anomalies.append(record(incident("town-hall", NOON_MS - 60_000), **end))
    page = window.open("town-hall")
    expect(page.locator(".card-points").first).to_contain_text("of 30")
    expect(page.locator(".notice")).to_have_attribute("data-severity", "ended")


def _list_with_anomalies(window: Window) -> None:
    for session, severity in (("town-hall", "CRITICAL"), ("workshop", "WARNING")):
        window.service.anomalies.append(record(incident(session, NOON_MS, severity)))
    page = window.open()
    page.get_by_role("checkbox", name="With anomalies").check()
    expect(page.locator(".row")).to_have_count(2)


def _break(window: Window) -> None:
    page = window.open("keynote")
    quiet = {"quietUntil": timestamp(NOON_MS + 600_000)}
    window.service.tick(update_with_score("keynote", NOON_MS + TICK_MS, 0.6) | quiet)
    expect(page.locator(".break-state")).to_be_visible()


def _break_dialog(window: Window) -> None:
    page = window.open("keynote")
    page.get_by_role("button", name="Break until …").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def _suggestion(window: Window) -> None:
    window.service.conductor.change(suggestion())
    page = window.open("keynote")
    expect(page.locator(".suggestion")).to_be_visible()


def _edited_suggestion(window: Window) -> None:
    _suggestion(window)
    window.page.get_by_role("button", name="Edit").click()
    window.page.get_by_label("Question").fill("W" * 501)
    window.page.get_by_role("button", name="Approve edited").click()


def _interventions(window: Window) -> None:
    began_ms = NOON_MS - 150_000
    window.service.conductor.change(measured(at_ms=began_ms))
    worse = MeasuredOutcome(began_ms, 0.4, 0.3, -0.1)
    window.service.conductor.change(measured(id="worse", at_ms=began_ms, outcome=worse))
    window.service.conductor.change(held(at_ms=NOON_MS - 30_000))
    page = window.open("keynote")
    expect(page.locator(".session .done-item")).to_have_count(3)
    expect(page.locator(".score-number")).to_have_text("80")


def _kill_switch(window: Window) -> None:
    window.service.conductor.is_enabled = False
    page = window.open("keynote")
    expect(page.locator(".conductor-status")).to_contain_text("Switched off")


def _mode_dialog(window: Window) -> None:
    page = window.open("keynote")
    page.locator(".conductor").get_by_role("button", name="Change mode").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def _manual_dialog(window: Window) -> None:
    page = window.open("keynote")
    page.get_by_role("button", name="Do something now").click()
    expect(page.get_by_label("Question")).to_be_visible()


def _conductor_view(window: Window) -> None:
    window.service.conductor.change(suggestion())
    window.service.conductor.change(measured(id="other"))
    window.service.conductor.effects = [
        effect("POLL", "act", 0.06, 0.03, 0.09),
        effect("BROADCAST", "act", -0.06, -0.09, -0.03),
        effect("GAMIFICATION", "suggest", 0.01, -0.09, 0.1),
        effect("NOTIFICATION", "suggest", missing=37),
    ]
    window.page.goto(f"{window.service.url}/#/conductor")
    expect(window.page.locator(".effect")).to_have_count(4)
    expect(window.page.locator(".event-done .done-item")).to_have_count(2)


def _list_with_a_suggestion(window: Window) -> None:
    window.service.conductor.change(suggestion())
    page = window.open()
    expect(page.locator(".row-suggestion:visible")).to_have_count(1)
    expect(page.locator(".waiting-count")).to_be_visible()


def _session_without_scores(window: Window) -> None:
    page = window.open("quiet-room")
    expect(page.locator(".chart-state")).to_contain_text("No scores")


def _event(window: Window) -> None:
    sessions = [with_points(summary(each, mean=0.5), 45) for each in ("keynote", "panel")]
    sessions.append(with_points(live("town-hall"), 20, 0.1))
    window.service.reports.events[EVENT] = overview(sessions)
    window.page.goto(f"{window.service.url}/#/event/{EVENT}")
    expect(window.page.locator(".multiple")).to_have_count(3)
    window.page.locator(".event-plot").press("Home")


def _session_report(window: Window) -> None:
    window.service.reports.session_reports["keynote"] = report() | {"state": "live"}
    window.page.goto(f"{window.service.url}/#/session/keynote/report")
    expect(window.page.locator(".report-body")).to_be_visible()


def _event_report(window: Window) -> None:
    window.service.reports.event_reports[EVENT] = report("event", 240)
    window.page.goto(f"{window.service.url}/#/event/{EVENT}/report")
    expect(window.page.locator(".report-body")).to_be_visible()


def _export(window: Window) -> None:
    window.ignore("429")
    window.service.reports.refusal = (429, "overloaded", "too many exports at once")
    page = window.open("keynote")
    page.get_by_role("button", name="Export").click()
    page.get_by_role("button", name="Download").click()
    expect(page.locator(".export-error")).to_contain_text("too many")


def _ended_session(window: Window) -> None:
    about = {"title": "Opening keynote", "speakers": ["Ada Lovelace"]}
    rows = [one for one in rows_between("0b1c", NOON_MS - 7_200_000, NOON_MS) if one["score"] < 0.6]
    window.service.history.end(stored("0b1c", NOON_MS - 7_200_000, 7200, **about), rows)
    began = record(incident("0b1c", NOON_MS - 600_000), endedAt=timestamp(NOON_MS), durationS=60)
    window.service.anomalies.append(began)
    page = window.open("0b1c")
    expect(page.locator(".about-ended")).to_be_visible()
    expect(page.locator('.session .legend li[data-shown="true"]')).to_have_count(3)


def _title_dialog(window: Window) -> None:
    page = window.open("keynote")
    page.get_by_role("button", name="Rename …").click()
    page.get_by_label("Planned begin").fill("2026-01-04T13:00")
    page.get_by_label("Planned end").fill("2026-01-04T12:00")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".about-error")).not_to_have_text("")


def _history(window: Window) -> None:
    window.service.history.summaries = [
        stored(f"session {number}", NOON_MS, meanScore=mean, title="Keynote", speakers=["Ada"])
        for number, mean in enumerate([0.8, 0.6, 0.4, 0.1, None] * 12)
    ]
    window.page.goto(f"{window.service.url}/#/sessions")
    expect(window.page.get_by_role("button", name="Load more")).to_be_visible()


def _disconnected(window: Window) -> None:
    page = window.open("panel")
    expect(page.locator(".score-number")).to_have_text("55")
    window.service.refusal_reason = "too many clients"
    window.service.disconnect_clients()
    expect(page.locator(".connection-text")).to_have_text("Disconnected")


def _token_dialog(window: Window) -> None:
    window.ignore("401")
    window.service.token = "secret"
    window.page.goto(window.service.url)
    expect(window.page.get_by_role("dialog")).to_be_visible()


_STATES = [
    _overview,
    _session,
    _critical_anomaly,
    _warning,
    _open_anomaly,
    _recovered,
    _list_with_anomalies,
    _break,
    _break_dialog,
    _suggestion,
    _edited_suggestion,
    _interventions,
    _kill_switch,
    _mode_dialog,
    _manual_dialog,
    _conductor_view,
    _list_with_a_suggestion,
    _session_without_scores,
    _event,
    _session_report,
    _event_report,
    _export,
    _ended_session,
    _title_dialog,
    _history,
    _disconnected,
    _token_dialog,
]


@pytest.fixture
def sessions(service: FakeService) -> None:
    for name, score in {"keynote": 0.8, "panel": 0.55, "workshop": 0.4, "town-hall": 0.1}.items():
        service.points[name] = [update_with_score(name, at, score) for at in _FULL]


@pytest.mark.usefixtures("sessions")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", _STATES, ids=lambda state: state.__name__.strip("_"))
def test_axe_finds_no_violations(
    open_window: Open, state: Callable[[Window], None], scheme: str
) -> None:
    # Without transitions, axe never measures a colour between two others.
    window = open_window(color_scheme=scheme, reduced_motion="reduce")
    state(window)

    result = Axe().run(window.page)

    assert result.response["violations"] == [], result.generate_report()


def test_screen_readers_announce_a_change_of_category_but_not_every_tick(
    window: Window, service: FakeService
) -> None:
    service.points["keynote"] = [update_with_score("keynote", NOON_MS, 0.7)]
    page = window.open("keynote")
    expect(page.locator(".score-number")).to_have_text("70")
    page.evaluate(_RECORD_ANNOUNCEMENTS)

    service.tick(update_with_score("keynote", NOON_MS + TICK_MS, 0.75))
    expect(page.locator(".score-number")).to_have_text("75")
    service.tick(update_with_score("keynote", NOON_MS + 2 * TICK_MS, 0.35))
    expect(page.locator("#announcements")).to_have_text("Now Low, 35%")

    assert page.evaluate("window.announced") == ["Now Low, 35%"]


def test_screen_readers_announce_a_critical_anomaly_as_an_alert(
    window: Window, service: FakeService
) -> None:
    service.points["keynote"] = [update_with_score("keynote", NOON_MS, 0.1)]
    page = window.open("keynote")

    service.send_anomaly(anomaly("keynote", NOON_MS, "CRITICAL", 0.8, 0.1))

    expect(page.get_by_role("alert").filter(has_text="Sudden drop")).to_have_text(
        "Critical: Sudden drop. Expected 80%, actual 10%."
    )


def test_announcements_that_come_at_once_are_each_shown_for_long_enough(window: Window) -> None:
    page = window.open()

    shown_ms = page.evaluate(
        """async () => {
          const { announce } = await import("/static/app/announcer.js");
          const times = [];
          const region = document.querySelector("#announcements");
          new MutationObserver(() => times.push([region.textContent, performance.now()]))
            .observe(region, { childList: true });
          announce("one");
          announce("two");
          while (times.length < 2) await new Promise((done) => setTimeout(done, 20));
          return times.map(([text]) => text).join() === "one,two" && times[1][1] - times[0][1];
        }"""
    )
    assert shown_ms > 400


def test_the_theme_follows_the_system_until_the_user_chooses_one_and_the_choice_is_stored(
    open_window: Open,
) -> None:
    page = open_window(color_scheme="dark").open()
    assert _background(page) == "rgb(13, 16, 21)"

    page.get_by_role("button", name="Dark theme", pressed=True).click()
    assert _background(page) == "rgb(245, 246, 248)"
    page.reload()

    assert _background(page) == "rgb(245, 246, 248)"
    expect(page.get_by_role("button", name="Dark theme", pressed=False)).to_be_visible()


@pytest.mark.usefixtures("sessions")
def test_nothing_is_animated_when_the_user_prefers_reduced_motion(open_window: Open) -> None:
    page = open_window(reduced_motion="reduce").open()
    expect(page.locator(".row")).to_have_count(4)

    animated = page.evaluate(
        """() => [...document.querySelectorAll("*")].filter((element) => {
          const { transitionDuration, animationName } = getComputedStyle(element);
          return parseFloat(transitionDuration) > 0 || animationName !== "none";
        }).length"""
    )
    assert animated == 0


@pytest.mark.usefixtures("sessions")
def test_nothing_is_animated_between_updates(window: Window) -> None:
    page = window.open("keynote")
    expect(page.locator(".card-points").first).to_contain_text("of 30")

    page.wait_for_function("() => document.getAnimations().length === 0")


@pytest.mark.usefixtures("sessions")
def test_the_skip_link_moves_the_focus_to_the_content_and_keeps_the_address(window: Window) -> None:
    page = window.open("keynote")
    page.locator(".skip").focus()
    page.keyboard.press("Enter")

    assert page.evaluate("document.activeElement.id") == "content"
    assert page.url.endswith("#/session/keynote")


def _background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


_RECORD_ANNOUNCEMENTS = """() => {
  window.announced = [];
  new MutationObserver(() => {
    const text = document.querySelector("#announcements").textContent;
    if (text) window.announced.push(text);
  }).observe(document.querySelector("#announcements"), { childList: true });
}"""
