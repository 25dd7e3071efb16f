import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.fake_server import FakeService
from tests.dashboard.page.conftest import Open, Window
from tests.dashboard.sample_bodies import NOON_MS, TICK_MS, session_names, update_with_score

SCORES = {"beta": 0.9, "alpha": 0.55, "delta": 0.12, "gamma": 0.35}


@pytest.fixture
def four_sessions(service: FakeService) -> FakeService:
    for name, score in SCORES.items():
        service.points[name] = [
            update_with_score(name, NOON_MS - TICK_MS, score, f"event-of-{name}"),
            update_with_score(name, NOON_MS, score, f"event-of-{name}"),
        ]
    return service


def _names_in_order(page: Page) -> list[str]:
    """Return the names of the sessions from top to bottom."""
    names: list[str] = page.evaluate(
        """() => [...document.querySelectorAll(".row")]
          .sort((a, b) => a.ariaPosInSet - b.ariaPosInSet)
          .map((row) => row.querySelector(".row-session").textContent)"""
    )
    return names


def test_the_lowest_score_comes_first_and_updates_change_the_order(
    window: Window, four_sessions: FakeService
) -> None:
    page = window.open()
    expect(page.locator(".row")).to_have_count(4)
    assert _names_in_order(page) == ["delta", "gamma", "alpha", "beta"]

    four_sessions.tick(update_with_score("beta", NOON_MS + TICK_MS, 0.05, "event-of-beta"))

    row = page.locator(".row", has_text="event-of-beta")
    expect(row.locator(".row-score")).to_have_text("5%")
    expect(row).to_have_attribute("aria-posinset", "1")
    expect(row).to_have_attribute("data-level", "critical")
    expect(row.locator(".row-trend")).to_have_text("↓ 85")
    assert _names_in_order(page) == ["beta", "delta", "gamma", "alpha"]
    # Screen readers follow the order of the elements.
    expect(page.locator(".row-session")).to_have_text(["beta", "delta", "gamma", "alpha"])


@pytest.mark.usefixtures("four_sessions")
def test_sessions_can_be_sorted_by_name_and_the_choice_is_stored(window: Window) -> None:
    page = window.open()
    page.get_by_role("radio", name="By name").check()
    expect(page.locator(".row", has_text="event-of-alpha")).to_have_attribute("aria-posinset", "1")
    assert _names_in_order(page) == sorted(SCORES)

    page.reload()
    expect(page.locator(".row")).to_have_count(4)
    assert _names_in_order(page) == sorted(SCORES)


@pytest.mark.usefixtures("four_sessions")
def test_the_search_matches_a_part_of_the_session_or_event(window: Window) -> None:
    page = window.open()
    search = page.get_by_role("searchbox", name="Search sessions")

    search.fill("LPH")
    expect(page.locator(".row-session")).to_have_text(["alpha"])
    search.fill("event-of-d")
    expect(page.locator(".row-session")).to_have_text(["delta"])
    search.fill("no-such-session")
    expect(page.locator(".overview-state")).to_contain_text("No sessions match")
    search.fill("")
    expect(page.locator(".row")).to_have_count(4)


@pytest.mark.usefixtures("four_sessions")
def test_arrow_keys_select_a_session_enter_opens_it_and_back_returns_to_the_list(
    window: Window,
) -> None:
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


def test_a_session_with_special_characters_in_its_name_can_be_reloaded(
    window: Window, service: FakeService
) -> None:
    name = "Q&A: 100% ünïcode/№7 #1?"
    service.points[name] = [update_with_score(name, NOON_MS, 0.5)]
    page = window.open()
    page.locator(".row-link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)

    page.reload()

    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page.locator(".score-number")).to_have_text("50")


@pytest.mark.usefixtures("four_sessions")
def test_an_invalid_address_shows_the_list(window: Window) -> None:
    page = window.open("%E0%A4%A")

    expect(page.locator(".row")).to_have_count(4)


def test_an_empty_list_shows_that_there_are_no_live_sessions(window: Window) -> None:
    page = window.open()

    expect(page.locator(".overview-state")).to_contain_text("No live sessions")


def test_a_session_without_updates_is_removed_from_the_list_after_a_minute(
    window: Window, four_sessions: FakeService
) -> None:
    page = window.open()
    expect(page.locator(".row")).to_have_count(4)

    four_sessions.tick(update_with_score("beta", NOON_MS + 60_000, 0.9))
    expect(page.locator(".overview-tick")).to_have_text("As of 12:01:00")
    expect(page.locator(".row")).to_have_count(4)
    four_sessions.tick(update_with_score("beta", NOON_MS + 65_000, 0.9))

    expect(page.locator(".row-session")).to_have_text(["beta"])


def test_a_new_session_appears_in_the_list(window: Window, four_sessions: FakeService) -> None:
    page = window.open()
    expect(page.locator(".row")).to_have_count(4)

    four_sessions.tick(update_with_score("epsilon", NOON_MS + TICK_MS, 0.4))

    expect(page.locator(".row")).to_have_count(5)
    expect(page.locator(".overview-counts")).to_have_text("5 live · average 46%")


def test_sparklines_show_stored_scores(window: Window, service: FakeService) -> None:
    service.points["keynote"] = [
        update_with_score("keynote", NOON_MS - back * TICK_MS, 0.5) for back in reversed(range(60))
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
    assert service.requested_paths.count("/api/v1/histories") == 1


def test_rows_keep_their_order_while_the_pointer_moves_over_them(
    window: Window, four_sessions: FakeService
) -> None:
    page = window.open()
    expect(page.locator(".row")).to_have_count(4)
    page.locator(".row", has_text="event-of-gamma").hover()

    four_sessions.tick(update_with_score("beta", NOON_MS + TICK_MS, 0.05, "event-of-beta"))

    expect(page.locator(".row", has_text="event-of-beta").locator(".row-score")).to_have_text("5%")
    assert _names_in_order(page) == ["delta", "gamma", "alpha", "beta"]


def test_the_end_key_shows_the_last_of_a_thousand_sessions(
    window: Window, service: FakeService
) -> None:
    for index, name in enumerate(session_names(1000)):
        service.points[name] = [update_with_score(name, NOON_MS, index / 1000)]
    page = window.open()
    page.locator(".row-link").first.focus()
    assert page.locator(".row").count() < 60

    page.keyboard.press("End")

    focused = page.locator(".row-link:focus")
    expect(focused).to_be_in_viewport()
    expect(page.locator(".row", has=focused)).to_have_attribute("aria-posinset", "1000")
    expect(focused.locator(".row-score")).to_have_text("99%")


@pytest.mark.parametrize("session", [None, "a-very-long-name-of-a-session-" * 8])
def test_a_phone_with_360_pixels_needs_no_horizontal_scrolling(
    open_window: Open, service: FakeService, session: str | None
) -> None:
    name = session or "keynote"
    service.points[name] = [update_with_score(name, NOON_MS, 0.5)]
    window = open_window(viewport={"width": 360, "height": 640}, reduced_motion="reduce")
    page = window.open(session)
    expect(page.locator(".score-number" if session else ".row-score")).to_contain_text("50")

    assert page.evaluate("document.documentElement.scrollWidth") == 360
