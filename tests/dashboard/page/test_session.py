import pytest
from playwright.sync_api import Page, expect

from conductor_actors.domain.scoring import Signals
from tests.dashboard.fake_server import FakeService
from tests.dashboard.page.conftest import Open, Window
from tests.dashboard.sample_bodies import NOON_MS, TICK_MS, anomaly, update, update_with_score

GREEN, PURPLE, ORANGE, RED = (19, 122, 57), (109, 59, 212), (180, 73, 11), (200, 30, 43)
ACTIVE = Signals(12.0, 0.4, 31, 50, 9.0, 0.02)
_FULL = [NOON_MS - back * TICK_MS for back in reversed(range(60))]


def _pixel(page: Page, at_ms: int, score: float) -> list[int]:
    """Return red, green, blue and opacity of the chart's pixel at a time and a score."""
    pixel: list[int] = page.evaluate(
        """([at, score]) => {
          const over = document.querySelector(".u-over").getBoundingClientRect();
          const canvas = document.querySelector(".uplot canvas");
          const box = canvas.getBoundingClientRect();
          const scale = canvas.width / box.width;
          const x = (over.left - box.left + over.width * at) * scale;
          const y = (over.top - box.top + over.height * (1 - score)) * scale;
          const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
          copy.drawImage(canvas, 0, 0);
          return [...copy.getImageData(x, y, 1, 1).data];
        }""",
        [1 - (NOON_MS - at_ms) / 300_000, score],
    )
    return pixel


def test_an_update_changes_the_score_the_cards_and_the_chart(
    window: Window, service: FakeService
) -> None:
    service.points["keynote"] = [update("keynote", NOON_MS, Signals(0, 0, 10, 50, 0, 0))]
    page = window.open("keynote")
    expect(page.locator(".score-number")).to_have_text("5")

    service.tick(update("keynote", NOON_MS + TICK_MS, ACTIVE))

    expect(page.locator(".score-number")).to_have_text("60")
    expect(page.locator(".category").first).to_have_text("High")
    expect(page.locator(".fact-points")).to_have_text("2")
    expect(page.locator(".card-value")).to_have_text(["12", "31", "40%", "9", "2%"])
    expect(page.locator(".card-detail").nth(1)).to_have_text("of 50 were active in the last minute")
    expect(page.locator(".chart")).to_have_attribute("aria-valuetext", "12:00:05, 60%, High")


def test_each_card_shows_the_contribution_of_its_signal_and_the_maximum(
    window: Window, service: FakeService
) -> None:
    service.points["keynote"] = [update("keynote", NOON_MS, ACTIVE)]
    page = window.open("keynote")

    expect(page.locator(".card-points")).to_have_text(
        [
            "+25.3 of 30 points",
            "+15.5 of 25 points",
            "+10 of 25 points",
            "+9.6 of 10 points",
            "\u22120.2 of 10 points",
        ]
    )


def test_the_page_says_that_the_audience_is_unknown(window: Window, service: FakeService) -> None:
    service.points["keynote"] = [
        update_with_score("keynote", NOON_MS, 0.5) | {"audience": "unknown"}
    ]
    page = window.open("keynote")

    card = page.locator('.card[data-signal="active_users"] .card-detail')
    expect(card).to_have_text("active in the last minute; the audience is unknown")


def test_the_history_fills_the_chart_and_its_summary(window: Window, service: FakeService) -> None:
    service.points["keynote"] = [
        update_with_score("keynote", at, 0.2 + (at == NOON_MS) * 0.6) for at in _FULL
    ]
    page = window.open("keynote")

    expect(page.locator(".fact-points")).to_have_text("60")
    expect(page.locator(".fact-range")).to_have_text("11:55:05 \u2013 12:00:00")
    expect(page.locator(".fact-average")).to_have_text("21%")
    expect(page.locator(".score-trend")).to_have_text("up 60 points in the last minute")


@pytest.mark.parametrize(
    ("score", "shown", "colour"),
    [
        (0.7, "70", GREEN),
        (0.6996, "69", PURPLE),
        (0.5, "50", PURPLE),
        (0.4996, "49", ORANGE),
        (0.3, "30", ORANGE),
        (0.2996, "29", RED),
    ],
)
def test_the_score_has_the_colour_of_its_level_and_is_not_rounded_up_to_the_next(
    window: Window, service: FakeService, score: float, shown: str, colour: tuple[int, int, int]
) -> None:
    service.points["keynote"] = [update_with_score("keynote", NOON_MS, score)]
    page = window.open("keynote")

    expect(page.locator(".score-number")).to_have_text(shown)
    expect(page.locator(".score-number")).to_have_css("color", f"rgb{colour}")


@pytest.mark.parametrize(
    ("score", "colour"),
    [
        *((0.7, GREEN), (0.68, PURPLE), (0.5, PURPLE)),
        *((0.48, ORANGE), (0.3, ORANGE), (0.28, RED)),
    ],
)
def test_the_chart_is_coloured_by_level(
    window: Window, service: FakeService, score: float, colour: tuple[int, int, int]
) -> None:
    service.points["keynote"] = [update_with_score("keynote", at, score) for at in _FULL]
    page = window.open("keynote")
    expect(page.locator(".fact-points")).to_have_text("60")

    for nudge in (0, 0.003):  # the line is 2 pixels wide
        line = _pixel(page, NOON_MS - 50_000, score + nudge)
        assert line[:3] == pytest.approx(colour, abs=16)
        assert line[3] > 200
    fill = _pixel(page, NOON_MS - 50_000, score - 0.04)
    assert fill[:3] == pytest.approx(colour, abs=16)
    assert fill[3] < 100


def test_missing_ticks_are_a_gap_in_the_chart(window: Window, service: FakeService) -> None:
    gap = range(NOON_MS - 150_000, NOON_MS - 90_000, TICK_MS)
    service.points["keynote"] = [
        update_with_score("keynote", at, 0.8) for at in _FULL if at not in gap
    ]
    page = window.open("keynote")
    expect(page.locator(".fact-points")).to_have_text("48")

    assert _pixel(page, NOON_MS - 60_000, 0.62)[3] > 0
    assert _pixel(page, NOON_MS - 120_000, 0.62)[3] == 0
    assert _pixel(page, NOON_MS - 120_000, 0.8)[3] == 0


def test_the_critical_threshold_is_a_dashed_line(window: Window, service: FakeService) -> None:
    service.points["keynote"] = [update_with_score("keynote", NOON_MS, 0.8)]
    page = window.open("keynote")
    expect(page.locator(".fact-points")).to_have_text("1")

    opacities = [_pixel(page, NOON_MS - 250_000 + step * 500, 0.3)[3] for step in range(60)]
    assert 0 in opacities
    assert max(opacities) > 150


def test_the_tooltip_shows_time_score_and_category_of_the_point_under_the_mouse(
    window: Window, service: FakeService
) -> None:
    service.points["keynote"] = [update_with_score("keynote", at, 0.65) for at in _FULL]
    page = window.open("keynote")
    expect(page.locator(".tooltip")).to_be_hidden()
    expect(page.locator(".fact-points")).to_have_text(f"{len(_FULL)}")  # the chart is complete

    box = page.locator(".chart .u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 20)

    expect(page.locator(".tooltip")).to_be_visible()
    expect(page.locator(".tooltip > *")).to_have_text(["11:59:00", "65%", "High", ""])
    page.mouse.move(0, 0)
    expect(page.locator(".tooltip")).to_be_hidden()


def test_arrow_keys_select_a_point_which_stays_selected_while_others_arrive(
    window: Window, service: FakeService
) -> None:
    service.points["keynote"] = [update_with_score("keynote", at, 0.65) for at in _FULL]
    page = window.open("keynote")
    expect(page.locator(".fact-points")).to_have_text("60")
    tooltip = page.locator(".tooltip-time")

    page.locator(".chart").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(tooltip).to_have_text("11:59:50")
    expect(page.locator(".chart")).to_have_attribute("aria-valuetext", "11:59:50, 65%, High")

    service.tick(update_with_score("keynote", NOON_MS + TICK_MS, 0.2))
    expect(page.locator(".score-number")).to_have_text("20")
    expect(tooltip).to_have_text("11:59:50")
    expect(page.locator(".chart")).to_have_attribute("aria-valuetext", "11:59:50, 65%, High")

    page.keyboard.press("Home")
    expect(tooltip).to_have_text("11:55:10")
    page.keyboard.press("Escape")
    expect(page.locator(".tooltip")).to_be_hidden()
    expect(page.locator(".session")).to_be_visible()


@pytest.mark.parametrize("severity", ["WARNING", "CRITICAL"])
def test_an_anomaly_shows_its_severity_and_the_expected_and_actual_score(
    window: Window, service: FakeService, severity: str
) -> None:
    service.points["keynote"] = [update_with_score("keynote", NOON_MS, 0.28)]
    page = window.open("keynote")
    expect(page.locator(".score-number")).to_have_text("28")
    expect(page.locator(".notice-title")).to_have_text("No anomaly reported")

    service.send_anomaly(anomaly("keynote", NOON_MS, severity, 0.62, 0.28))

    notice = page.locator(".notice")
    expect(notice).to_have_attribute("data-severity", severity.lower())
    expect(notice.locator(".notice-title")).to_have_text(f"{severity.capitalize()}: Sudden drop")
    expect(notice.locator(".notice-expected")).to_have_text("62%")
    expect(notice.locator(".notice-actual")).to_have_text("28%")
    expect(notice.locator(".notice-text")).to_contain_text("34 points below the expected score")
    notice.get_by_role("button", name="Dismiss").click()
    expect(notice.locator(".notice-title")).to_have_text("No anomaly reported")


def test_an_anomaly_is_shown_for_five_minutes(window: Window, service: FakeService) -> None:
    service.points["keynote"] = [update_with_score("keynote", NOON_MS, 0.28)]
    page = window.open("keynote")
    expect(page.locator(".score-number")).to_have_text("28")
    service.send_anomaly(anomaly("keynote", NOON_MS, "WARNING", 0.62, 0.28))
    expect(page.locator(".notice")).to_have_attribute("data-severity", "warning")

    service.tick(update_with_score("keynote", NOON_MS + 295_000, 0.6))
    expect(page.locator(".score-number")).to_have_text("60")
    expect(page.locator(".notice")).to_have_attribute("data-severity", "warning")
    service.tick(update_with_score("keynote", NOON_MS + 300_000, 0.6))
    expect(page.locator(".notice")).to_have_attribute("data-severity", "none")


def test_a_session_without_scores_shows_a_message(window: Window) -> None:
    page = window.open("quiet-room")

    expect(page.locator(".chart-state")).to_contain_text("No scores in the last 5 minutes")
    expect(page.locator(".category").first).to_have_text("No score")


def test_a_session_shows_that_it_is_loading_until_its_history_arrives(window: Window) -> None:
    page = window.open("never-answers")

    expect(page.locator(".chart-state")).to_contain_text("Loading")


def test_a_refused_session_shows_the_reason_and_can_be_retried(
    window: Window, service: FakeService
) -> None:
    service.refused_sessions.add("secret")
    page = window.open("secret")
    expect(page.locator(".chart-state")).to_contain_text("this session is not yours")

    service.refused_sessions.clear()
    service.points["secret"] = [update_with_score("secret", NOON_MS, 0.5)]
    page.get_by_role("button", name="Retry").click()

    expect(page.locator(".score-number")).to_have_text("50")


def test_session_and_event_id_are_shown_and_can_be_copied(
    open_window: Open, service: FakeService
) -> None:
    service.points["keynote/1"] = [update_with_score("keynote/1", NOON_MS, 0.5, "summit-7")]
    window = open_window(permissions=["clipboard-read", "clipboard-write"])
    page = window.open("keynote%2F1")
    expect(page.get_by_role("heading", level=1)).to_have_text("keynote/1")
    expect(page.locator(".event-id")).to_have_text("summit-7")

    page.get_by_role("button", name="Copy session id").click()
    expect(page.locator("#announcements")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "keynote/1"
    page.get_by_role("button", name="Copy event id").click()
    page.wait_for_function("async () => await navigator.clipboard.readText() === 'summit-7'")


def test_html_and_bidirectional_marks_in_a_name_have_no_effect(
    window: Window, service: FakeService
) -> None:
    name = '<img src=x onerror="alert(1)">\u202egnp.exe'
    service.points[name] = [update_with_score(name, NOON_MS, 0.5)]
    page = window.open()

    expect(page.locator(".row-session")).to_have_text(name.replace("\u202e", "\ufffd"))
    page.locator(".row-link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name.replace("\u202e", "\ufffd"))
    expect(page.locator(".score-number")).to_have_text("50")
    assert page.locator("main img").count() == 0


@pytest.mark.parametrize("width", [360, 1280])
def test_updates_and_anomalies_cause_no_layout_shift(
    open_window: Open, service: FakeService, width: int
) -> None:
    window = open_window(viewport={"width": width, "height": 900})
    service.points["keynote"] = [update_with_score("keynote", at, 0.8) for at in _FULL]
    page = window.page
    page.add_init_script(
        """window.shifts = 0;
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) window.shifts += entry.value;
        }).observe({ type: "layout-shift", buffered: true });"""
    )
    window.open("keynote")
    expect(page.locator(".score-number")).to_have_text("80")

    service.tick(update_with_score("keynote", NOON_MS + TICK_MS, 0.05))
    service.send_anomaly(anomaly("keynote", NOON_MS, "CRITICAL", 0.8, 0.05))

    expect(page.locator(".score-number")).to_have_text("5")
    expect(page.locator(".notice")).to_have_attribute("data-severity", "critical")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.evaluate("window.shifts") < 0.002  # only the percent sign moves with its number
