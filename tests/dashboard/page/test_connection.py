import pytest
from playwright.sync_api import expect

from tests.dashboard.fake_server import NOON_MS, TICK_MS, FakeService, scored
from tests.dashboard.page.conftest import OUTAGE, Window


def test_after_a_restart_of_the_service_the_page_is_live_again_without_a_hole(
    window: Window, service: FakeService
) -> None:
    window.tolerate(OUTAGE)
    service.points["keynote"] = [scored("keynote", NOON_MS, 0.5)]
    page = window.open("keynote")
    expect(page.locator(".score-number")).to_have_text("50")

    service.stop()
    expect(page.locator(".connection-text")).to_have_text("Reconnecting, attempt 1")
    expect(page.locator(".lost")).to_contain_text("last figures that arrived")
    expect(page.locator(".score-number")).to_have_text("50")
    service.points["keynote"].append(scored("keynote", NOON_MS + TICK_MS, 0.6))
    service.start()

    window.is_live()
    expect(page.locator(".lost")).to_be_hidden()
    expect(page.locator(".fact-points")).to_have_text("2")
    service.tick(scored("keynote", NOON_MS + 2 * TICK_MS, 0.7))
    expect(page.locator(".score-number")).to_have_text("70")
    expect(page.locator(".fact-points")).to_have_text("3")


def test_attempts_are_counted_until_the_page_is_disconnected_and_retry_connects(
    window: Window, service: FakeService
) -> None:
    window.tolerate(OUTAGE)
    page = window.page
    page.clock.install()
    service.points["keynote"] = [scored("keynote", NOON_MS, 0.5)]
    window.open("keynote")
    service.stop()
    expect(page.locator(".connection-text")).to_have_text("Reconnecting, attempt 1")

    seen = set()
    while (state := window.text(".connection-text")) != "Disconnected":
        seen.add(state)
        page.clock.run_for(1_000)
    assert {f"Reconnecting, attempt {number}" for number in range(2, 7)} <= seen

    service.start()
    page.get_by_role("button", name="Retry").click()
    page.clock.run_for(100)
    window.is_live()


def test_a_page_that_is_sent_away_comes_back(window: Window, service: FakeService) -> None:
    service.points["keynote"] = [scored("keynote", NOON_MS, 0.5)]
    page = window.open("keynote")

    service.dismiss()

    expect(page.locator(".connection-text")).to_contain_text("Reconnecting")
    window.is_live()
    service.tick(scored("keynote", NOON_MS + TICK_MS, 0.7))
    expect(page.locator(".score-number")).to_have_text("70")


def test_a_refused_page_says_why_and_retry_connects(window: Window, service: FakeService) -> None:
    page = window.open()
    service.refuses_because = "too many clients"
    service.dismiss()
    expect(page.locator(".connection-text")).to_have_text("Disconnected")
    expect(page.locator(".lost")).to_contain_text("too many clients")

    service.refuses_because = None
    page.get_by_role("button", name="Retry").click()

    window.is_live()


def test_a_token_leaves_the_address_and_opens_the_service(
    window: Window, service: FakeService
) -> None:
    service.token = "header.payload.signature"
    service.points["keynote"] = [scored("keynote", NOON_MS, 0.5)]
    page = window.page

    page.goto(f"{service.url}/#token={service.token}&/session/keynote")

    window.is_live()
    expect(page.locator(".score-number")).to_have_text("50")
    expect(page.locator(".card-points").first).to_contain_text("of 30 points")
    assert page.url == f"{service.url}/#/session/keynote"
    page.reload()
    window.is_live()
    assert page.evaluate("Object.keys(localStorage)") == []


def test_the_page_asks_for_a_token_until_it_has_the_right_one(
    window: Window, service: FakeService
) -> None:
    window.tolerate("401")
    service.token = "right"
    service.points["keynote"] = [scored("keynote", NOON_MS, 0.5)]
    page = window.page
    page.goto(service.url)
    dialog = page.get_by_role("dialog", name="This dashboard needs a token")
    expect(dialog).to_be_visible()

    dialog.get_by_label("Token").fill("wrong")
    page.keyboard.press("Enter")
    expect(dialog.locator(".token-error")).to_contain_text("not accepted")
    dialog.get_by_label("Token").fill("right")
    page.keyboard.press("Enter")

    expect(dialog).to_be_hidden()
    window.is_live()
    expect(page.locator(".row")).to_have_count(1)


@pytest.mark.parametrize("watched", ["session", "sessions"])
def test_what_is_no_longer_looked_at_is_no_longer_sent(
    window: Window, service: FakeService, watched: str
) -> None:
    service.points["keynote"] = [scored("keynote", NOON_MS, 0.5)]
    page = window.open("keynote" if watched == "session" else None)
    room = "keynote" if watched == "session" else "sessions"
    service.wait_for_listeners(room, 1)

    page.evaluate(
        "watched => location.hash = watched === 'session' ? '#/' : '#/session/keynote'", watched
    )

    expect(page.locator(".row-score" if watched == "session" else ".score-number")).to_contain_text(
        "50"
    )
    service.wait_for_listeners(room, 0)


def test_the_client_can_be_used_by_itself(window: Window, service: FakeService) -> None:
    service.points["keynote"] = [scored("keynote", NOON_MS, 0.5)]
    page = window.open()

    page.evaluate(
        """async () => {
          const { EngagementStream } = await import("/static/engagement-stream.js");
          const stream = new EngagementStream();
          window.seen = { connections: [], broken: 0 };
          addEventListener("error", (event) => {
            window.seen.broken += 1;
            event.preventDefault();
          });
          stream.watchConnection(({ phase }) => window.seen.connections.push(phase));
          const stops = ["a", "b"].map((name) =>
            stream.watchSession("keynote", (session) => { window.seen[name] = session; }));
          stream.watchSession("keynote", () => { throw new Error("a listener's mistake"); });
          Object.assign(window.seen, { stream, stops });
        }"""
    )
    page.wait_for_function("() => window.seen.a.points.length === 1 && window.seen.b.latest")
    service.tick(*(scored("keynote", NOON_MS + n * 1000, n / 100) for n in range(1, 66)))
    page.wait_for_function(
        "() => window.seen.a.latest.score === 0.65 && window.seen.b.latest.score === 0.65"
    )
    assert page.evaluate("window.seen.a.points.length") == 60
    assert page.evaluate("window.seen.connections") == ["connecting", "live"]
    assert page.evaluate("Object.isFrozen(window.seen.a) && window.seen.broken > 0")

    page.evaluate("window.seen.stops[0]()")
    service.tick(scored("keynote", NOON_MS + 70 * TICK_MS, 0.7))
    page.wait_for_function("() => window.seen.b.latest.score === 0.7")
    assert page.evaluate("window.seen.a.latest.score") == 0.65
    page.evaluate("window.seen.stream.close()")
    service.wait_for_listeners("keynote", 0)
