import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.fake_server import NOON_MS, TICK_MS, FakeService, names, scored
from tests.dashboard.page.conftest import Open, Window

SCORES = {"beta": 0.9, "alpha": 0.55, "delta": 0.12, "gamma": 0.35}


@pytest.fixture
def four(service: FakeService) -> FakeService:
    for name, score in SCORES.items():
        service.points[name] = [
            scored(name, NOON_MS - TICK_MS, score, f"event-of-{name}"),
            scored(name, NOON_MS, score, f"event-of-{name}"),
        ]
    return service


def _shown(page: Page) -> list[str]:
    """List the names on the screen from top to bottom."""
    shown: list[str] = page.evaluate(
        """() => [...document.querySelectorAll(".row")]
          .sort((a, b) => a.ariaPosInSet - b.ariaPosInSet)
          .map((row) => row.querySelector(".row-session").textContent)"""
    )
    return shown


def test_the_worst_session_comes_first_and_the_order_follows_the_scores(
    window: Window, four: FakeService
) -> None:
    page = window.open()
    expect(page.locator(".row")).to_have_count(4)
    assert _shown(page) == ["delta", "gamma", "alpha", "beta"]

    four.tick(scored("beta", NOON_MS + TICK_MS, 0.05, "event-of-beta"))

    row = page.locator(".row", has_text="event-of-beta")
    expect(row.locator(".row-score")).to_have_text("5%")
    expect(row).to_have_attribute("aria-posinset", "1")
    expect(row).to_have_attribute("data-level", "critical")
    expect(row.locator(".row-trend")).to_have_text("↓ 85")
    assert _shown(page) == ["beta", "delta", "gamma", "alpha"]
    # … also for those who hear the list: the elements themselves are in this order.
    expect(page.locator(".row-session")).to_have_text(["beta", "delta", "gamma", "alpha"])


@pytest.mark.usefixtures("four")
def test_sessions_can_be_ordered_by_name_and_the_choice_is_kept(window: Window) -> None:
    page = window.open()
    page.get_by_role("radio", name="By name").check()
    expect(page.locator(".row", has_text="event-of-alpha")).to_have_attribute("aria-posinset", "1")
    assert _shown(page) == sorted(SCORES)

    page.reload()
    expect(page.locator(".row")).to_have_count(4)
    assert _shown(page) == sorted(SCORES)


@pytest.mark.usefixtures("four")
def test_a_search_finds_by_a_part_of_the_session_or_event(window: Window) -> None:
    page = window.open()
    search = page.get_by_role("searchbox", name="Search sessions")

    search.fill("LPH")
    expect(page.locator(".row-session")).to_have_text(["alpha"])
    search.fill("event-of-d")
    expect(page.locator(".row-session")).to_have_text(["delta"])
    search.fill("nobody")
    expect(page.locator(".overview-state")).to_contain_text("No session matches")
    search.fill("")
    expect(page.locator(".row")).to_have_count(4)


@pytest.mark.usefixtures("four")
def test_arrow_keys_choose_a_session_enter_opens_it_and_back_returns(window: Window) -> None:
    page = window.open()
    page.locator(".row-link").first.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_have_text("gamma")
    assert page.url.endswith("/#/session/gamma")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Live sessions")
    expect(page.locator(".row")).to_have_count(4)


def test_a_session_keeps_its_address_whatever_its_name(
    window: Window, service: FakeService
) -> None:
    name = "Q&A: 100% ünïcode/№7 #1?"
    service.points[name] = [scored(name, NOON_MS, 0.5)]
    page = window.open()
    page.locator(".row-link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)

    page.reload()

    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page.locator(".score-number")).to_have_text("50")


@pytest.mark.usefixtures("four")
def test_an_address_that_names_nothing_shows_the_list(window: Window) -> None:
    page = window.open("%E0%A4%A")

    expect(page.locator(".row")).to_have_count(4)


def test_the_list_says_when_there_is_no_live_session(window: Window) -> None:
    page = window.open()

    expect(page.locator(".overview-state")).to_contain_text("No live sessions")


def test_a_session_that_falls_silent_leaves_the_list_after_a_minute(
    window: Window, four: FakeService
) -> None:
    page = window.open()
    expect(page.locator(".row")).to_have_count(4)

    four.tick(scored("beta", NOON_MS + 60_000, 0.9))
    expect(page.locator(".overview-tick")).to_have_text("As of 12:01:00")
    expect(page.locator(".row")).to_have_count(4)
    four.tick(scored("beta", NOON_MS + 65_000, 0.9))

    expect(page.locator(".row-session")).to_have_text(["beta"])


def test_a_session_that_was_not_known_appears(window: Window, four: FakeService) -> None:
    page = window.open()
    expect(page.locator(".row")).to_have_count(4)

    four.tick(scored("epsilon", NOON_MS + TICK_MS, 0.4))

    expect(page.locator(".row")).to_have_count(5)
    expect(page.locator(".overview-counts")).to_have_text("5 live · average 46%")


def test_sparklines_begin_with_what_is_stored(window: Window, service: FakeService) -> None:
    service.points["keynote"] = [
        scored("keynote", NOON_MS - back * TICK_MS, 0.5) for back in reversed(range(60))
    ]
    page = window.open()
    expect(page.locator(".row-trend")).to_have_text("→")

    opaque = page.locator(".row-spark").evaluate(
        """(canvas) => {
          const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
          copy.drawImage(canvas, 0, 0);
          const { data } = copy.getImageData(canvas.width / 4, 0, 1, canvas.height);
          return data.some((value, index) => index % 4 === 3 && value > 0);
        }"""
    )
    assert opaque
    assert service.asked.count("/api/v1/sessions/keynote/history") == 1


def test_a_row_moves_no_earlier_than_the_pointer_rests(window: Window, four: FakeService) -> None:
    page = window.open()
    expect(page.locator(".row")).to_have_count(4)
    page.locator(".row", has_text="event-of-gamma").hover()

    four.tick(scored("beta", NOON_MS + TICK_MS, 0.05, "event-of-beta"))

    expect(page.locator(".row", has_text="event-of-beta").locator(".row-score")).to_have_text("5%")
    assert _shown(page) == ["delta", "gamma", "alpha", "beta"]


def test_the_end_of_a_thousand_sessions_is_a_key_away(window: Window, service: FakeService) -> None:
    for index, name in enumerate(names(1000)):
        service.points[name] = [scored(name, NOON_MS, index / 1000)]
    page = window.open()
    page.locator(".row-link").first.focus()
    assert page.locator(".row").count() < 60

    page.keyboard.press("End")

    focused = page.locator(".row-link:focus")
    expect(focused).to_be_in_viewport()
    expect(page.locator(".row", has=focused)).to_have_attribute("aria-posinset", "1000")
    expect(focused.locator(".row-score")).to_have_text("99%")


@pytest.mark.parametrize("session", [None, "a-very-long-name-of-a-session-" * 8])
def test_a_phone_of_360_pixels_needs_no_scrolling_sideways(
    open_window: Open, service: FakeService, session: str | None
) -> None:
    name = session or "keynote"
    service.points[name] = [scored(name, NOON_MS, 0.5)]
    window = open_window(viewport={"width": 360, "height": 640}, reduced_motion="reduce")
    page = window.open(session)
    expect(page.locator(".score-number" if session else ".row-score")).to_contain_text("50")

    assert page.evaluate("document.documentElement.scrollWidth") == 360
