import pytest
from playwright.sync_api import expect

from tests.dashboard.fake_server import FakeService
from tests.dashboard.page.conftest import OUTAGE_ERRORS, Window
from tests.dashboard.sample_bodies import NOON_MS, TICK_MS, update_with_score


def test_after_a_restart_of_the_service_the_page_reconnects_and_loads_what_it_missed(
    window: Window, service: FakeService
) -> None:
    window.ignore(OUTAGE_ERRORS)
    service.points["keynote"] = [update_with_score("keynote", NOON_MS, 0.5)]
    page = window.open("keynote")
    expect(page.locator(".score-number")).to_have_text("50")

    service.stop()
    expect(page.locator(".connection-text")).to_have_text("Reconnecting, attempt 1")
    expect(page.locator(".connection-bar")).to_contain_text("Showing the last scores received")
    expect(page.locator(".score-number")).to_have_text("50")
    service.points["keynote"].append(update_with_score("keynote", NOON_MS + TICK_MS, 0.6))
    service.start()

    window.wait_until_live()
    expect(page.locator(".connection-bar")).to_be_hidden()
    expect(page.locator(".fact-points")).to_have_text("2")
    service.tick(update_with_score("keynote", NOON_MS + 2 * TICK_MS, 0.7))
    expect(page.locator(".score-number")).to_have_text("70")
    expect(page.locator(".fact-points")).to_have_text("3")


def test_the_page_counts_its_attempts_to_reconnect_and_retry_reconnects_at_once(
    window: Window, service: FakeService
) -> None:
    window.ignore(OUTAGE_ERRORS)
    page = window.page
    page.clock.install()
    service.points["keynote"] = [update_with_score("keynote", NOON_MS, 0.5)]
    window.open("keynote")
    service.stop()
    expect(page.locator(".connection-text")).to_have_text("Reconnecting, attempt 1")

    texts = set()
    while (text := window.text(".connection-text")) != "Disconnected":
        texts.add(text)
        page.clock.run_for(1_000)
    assert {f"Reconnecting, attempt {number}" for number in range(2, 7)} <= texts

    service.start()
    page.get_by_role("button", name="Retry").click()
    page.clock.run_for(100)
    window.wait_until_live()


def test_a_page_that_the_server_disconnects_reconnects(
    window: Window, service: FakeService
) -> None:
    service.points["keynote"] = [update_with_score("keynote", NOON_MS, 0.5)]
    page = window.open("keynote")

    service.disconnect_clients()

    expect(page.locator(".connection-text")).to_contain_text("Reconnecting")
    window.wait_until_live()
    service.tick(update_with_score("keynote", NOON_MS + TICK_MS, 0.7))
    expect(page.locator(".score-number")).to_have_text("70")


def test_a_refused_page_shows_the_reason_and_retry_reconnects(
    window: Window, service: FakeService
) -> None:
    page = window.open()
    service.refusal_reason = "too many clients"
    service.disconnect_clients()
    expect(page.locator(".connection-text")).to_have_text("Disconnected")
    expect(page.locator(".connection-bar")).to_contain_text("too many clients")

    service.refusal_reason = None
    page.get_by_role("button", name="Retry").click()

    window.wait_until_live()


def test_a_token_in_the_address_is_used_and_removed_from_the_address(
    window: Window, service: FakeService
) -> None:
    service.token = "header.payload.signature"
    service.points["keynote"] = [update_with_score("keynote", NOON_MS, 0.5)]
    page = window.page

    page.goto(f"{service.url}/#token={service.token}&/session/keynote")

    window.wait_until_live()
    expect(page.locator(".score-number")).to_have_text("50")
    expect(page.locator(".card-points").first).to_contain_text("of 30 points")
    assert page.url == f"{service.url}/#/session/keynote"
    page.reload()
    window.wait_until_live()
    assert page.evaluate("Object.keys(localStorage)") == []


def test_the_page_requests_a_token_until_the_service_accepts_one(
    window: Window, service: FakeService
) -> None:
    window.ignore("401")
    service.token = "right"
    service.points["keynote"] = [update_with_score("keynote", NOON_MS, 0.5)]
    page = window.page
    page.goto(service.url)
    dialog = page.get_by_role("dialog", name="This dashboard requires a token")
    expect(dialog).to_be_visible()

    dialog.get_by_label("Token").fill("wrong")
    page.keyboard.press("Enter")
    expect(dialog.locator(".token-error")).to_contain_text("not accepted")
    dialog.get_by_label("Token").fill("right")
    page.keyboard.press("Enter")

    expect(dialog).to_be_hidden()
    window.wait_until_live()
    expect(page.locator(".row")).to_have_count(1)


@pytest.mark.parametrize("watched", ["session", "sessions"])
def test_a_view_that_is_left_stops_receiving_updates(
    window: Window, service: FakeService, watched: str
) -> None:
    service.points["keynote"] = [update_with_score("keynote", NOON_MS, 0.5)]
    page = window.open("keynote" if watched == "session" else None)
    room = "keynote" if watched == "session" else "sessions"
    service.wait_for_subscribers(room, 1)

    page.evaluate(
        "watched => location.hash = watched === 'session' ? '#/' : '#/session/keynote'", watched
    )

    expect(page.locator(".row-score" if watched == "session" else ".score-number")).to_contain_text(
        "50"
    )
    service.wait_for_subscribers(room, 0)


def test_the_client_works_without_the_page(window: Window, service: FakeService) -> None:
    service.points["keynote"] = [update_with_score("keynote", NOON_MS, 0.5)]
    page = window.open()

    page.evaluate(
        """async () => {
          const { EngagementStream } = await import("/static/engagement-stream.js");
          const stream = new EngagementStream();
          window.test = { connections: [], errors: 0 };
          addEventListener("error", (event) => {
            window.test.errors += 1;
            event.preventDefault();
          });
          stream.watchConnection(({ phase }) => window.test.connections.push(phase));
          const stops = ["a", "b"].map((name) =>
            stream.watchSession("keynote", (session) => { window.test[name] = session; }));
          stream.watchSession("keynote", () => { throw new Error("an error in a listener"); });
          Object.assign(window.test, { stream, stops });
        }"""
    )
    page.wait_for_function("() => window.test.a.points.length === 1 && window.test.b.latest")
    service.tick(*(update_with_score("keynote", NOON_MS + n * 1000, n / 100) for n in range(1, 66)))
    page.wait_for_function(
        "() => window.test.a.latest.score === 0.65 && window.test.b.latest.score === 0.65"
    )
    assert page.evaluate("window.test.a.points.length") == 60
    assert page.evaluate("window.test.connections") == ["connecting", "live"]
    assert page.evaluate("Object.isFrozen(window.test.a) && window.test.errors > 0")

    page.evaluate("window.test.stops[0]()")
    service.tick(update_with_score("keynote", NOON_MS + 70 * TICK_MS, 0.7))
    page.wait_for_function("() => window.test.b.latest.score === 0.7")
    assert page.evaluate("window.test.a.latest.score") == 0.65
    page.evaluate("window.test.stream.close()")
    service.wait_for_subscribers("keynote", 0)
