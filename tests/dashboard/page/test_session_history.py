"""The page of a session: what is stored of it, over any range, also after its end."""

from datetime import datetime

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.fake_server import FakeService
from tests.dashboard.page.conftest import Open, Window, expect_address
from tests.dashboard.sample_bodies import NOON_MS, TICK_MS, incident, record, update_with_score
from tests.dashboard.sample_history import live_summary, rows_between, summary

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
BEGIN_MS = NOON_MS - 8 * HOUR_MS
GAP_MS = range(BEGIN_MS + 3 * HOUR_MS, BEGIN_MS + 3 * HOUR_MS + 15 * MINUTE_MS)
_SKIP_TIME = """
globalThis.skippedMs = 0;
const now = performance.now.bind(performance);
performance.now = () => now() + globalThis.skippedMs;"""
_OPACITY = """([share, score]) => {
  const canvas = document.querySelector(".chart .uplot canvas");
  const over = document.querySelector(".chart .u-over").getBoundingClientRect();
  const box = canvas.getBoundingClientRect();
  const scale = canvas.width / box.width;
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
  copy.drawImage(canvas, 0, 0);
  const x = Math.round((over.left - box.left + over.width * share) * scale);
  const y = Math.round((over.top - box.top + over.height * (1 - score)) * scale);
  const { data } = copy.getImageData(x - 4, y, 9, 1);
  return Math.max(...data.filter((_, index) => index % 4 === 3));
}"""


def at_ms(row: dict[str, str]) -> int:
    return int(datetime.fromisoformat(row["timestamp"]).timestamp() * 1000)


@pytest.fixture
def ended(service: FakeService) -> FakeService:
    """A session of 8 hours that ended at noon, with a gap and an anomaly."""
    rows = [one for one in rows_between("0b1c", BEGIN_MS, NOON_MS) if at_ms(one) not in GAP_MS]
    about = {"title": "Opening keynote", "speakers": ["Ada Lovelace"]}
    service.history.end(summary("0b1c", BEGIN_MS, 8 * 3600, **about), rows)
    began = incident("0b1c", BEGIN_MS + HOUR_MS)
    end_ms = BEGIN_MS + HOUR_MS + 5 * MINUTE_MS
    service.anomalies.append(record(began, endedAt=_iso(end_ms), durationS=300))
    return service


@pytest.fixture
def live(service: FakeService) -> FakeService:
    """A session that has been live for two hours."""
    rows = rows_between("0b1c", NOON_MS - 2 * HOUR_MS, NOON_MS)
    service.history.end(live_summary("0b1c", NOON_MS - 2 * HOUR_MS, title="Fireside chat"), rows)
    service.points["0b1c"] = list(rows[-60:])
    return service


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000).astimezone().isoformat()


def choose(page: Page, name: str) -> None:
    page.get_by_role("radio", name=name).check(force=True)


@pytest.mark.usefixtures("ended")
def test_a_session_that_has_ended_is_frozen_and_shows_its_whole_curve(window: Window) -> None:
    page = window.open("0b1c")

    expect(page.locator(".about-ended")).to_have_text("Ended at 12:00 on 4 Jan 2026 after 8 h")
    expect(page.get_by_role("heading", level=1)).to_have_text("Opening keynote")
    expect(page.locator(".about")).to_contain_text("Session id 0b1cAda Lovelace")
    expect(page).to_have_title("Opening keynote · Engagement")
    expect(page.locator(".score-panel")).to_contain_text("Average score")
    expect(page.locator(".score-number")).to_have_text("52")
    expect(page.locator(".score-trend")).to_have_text("Peak 87% at 08:00\n180 people at most")
    for control in (".notice", ".conductor", ".break", ".manual-open", ".cards", ".past-feedback"):
        expect(page.locator(f".session {control}").first).to_be_hidden()
    expect(page.locator("#chart-title")).to_have_text("Whole session")
    expect(page.locator(".fact-range")).to_have_text("04:00:00 \u2013 12:00:00")
    expect(page.locator(".past-item .past-when")).to_have_text("04:59:50 \u2013 05:05:00")
    expect_address(page, "#/session/0b1c")
    expect(page.get_by_role("link", name="History")).to_have_attribute("aria-current", "true")
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", level=1)).to_have_text("History")


@pytest.mark.usefixtures("ended")
def test_steps_have_a_band_from_lowest_to_highest_and_gaps_and_anomalies_are_marked(
    window: Window,
) -> None:
    page = window.open("0b1c")
    shown = page.locator('.session .legend li:not([data-shown="false"])')
    expect(shown).to_have_text(
        ["Time of an anomaly", "Critical below 30%", "Lowest to highest", "No scores"]
    )

    def opacity(share: float, score: float) -> int:
        found: int = page.evaluate(_OPACITY, [share, score])
        return found

    assert opacity(2.5 / 8, 0.9) == 0  # nothing above the band
    assert opacity(2.5 / 8, 0.62) > 0  # the band: no step has this mean
    assert opacity((1 + 1 / 24) / 8, 0.9) > 0  # the anomaly
    assert opacity((3 + 1 / 8) / 8, 0.9) > 0  # the gap


@pytest.mark.usefixtures("ended")
def test_a_range_is_in_the_address_and_a_link_shows_the_same(
    window: Window, open_window: Open
) -> None:
    page = window.open("0b1c")
    expect(page.locator("#chart-title")).to_have_text("Whole session")

    choose(page, "30 min")
    expect(page.locator(".fact-range")).to_have_text("11:30:00 \u2013 12:00:00")
    expect_address(
        page, "#/session/0b1c?from=2026-01-04T11%3A30%3A00.000Z&to=2026-01-04T12%3A00%3A00.000Z"
    )
    page.get_by_role("slider", name="Begin").focus()
    page.keyboard.press("Home")
    page.get_by_role("slider", name="End").focus()
    page.keyboard.press("PageDown")
    expect(page.locator("#chart-title")).to_have_text("04:00 \u2013 11:12")
    facts = page.locator(".fact-range").inner_text()

    other = open_window().page
    other.goto(page.url)
    expect(other.locator("#chart-title")).to_have_text("04:00 \u2013 11:12")
    expect(other.locator(".fact-range")).to_have_text(facts)
    choose(other, "All")
    expect(other.locator("#chart-title")).to_have_text("Whole session")
    assert other.url.endswith("#/session/0b1c")


@pytest.mark.usefixtures("ended")
def test_the_brush_selects_a_range_anew_and_moves_it(window: Window) -> None:
    page = window.open("0b1c")
    expect(page.locator(".brush")).to_have_attribute("data-shown", "true")
    box = page.locator(".brush").bounding_box()
    assert box is not None
    y = box["y"] + box["height"] - 4

    def drag(begin: float, end: float) -> None:
        page.mouse.move(box["x"] + box["width"] * begin, y)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * end, y, steps=3)
        page.mouse.up()

    drag(0.25, 0.5)
    expect(page.locator("#chart-title")).to_have_text("06:00 \u2013 08:00")
    drag(0.4, 0.65)
    expect(page.locator("#chart-title")).to_have_text("08:00 \u2013 10:00")
    slider = page.get_by_role("slider", name="End")
    expect(slider).to_have_attribute("aria-valuetext", "10:00:00")


def test_a_live_session_goes_on_in_every_range_also_after_a_reload(
    window: Window, live: FakeService
) -> None:
    page = window.open("0b1c")
    expect(page.locator(".fact-range")).to_have_text("11:55:05 \u2013 12:00:00")
    choose(page, "All")
    expect(page.locator(".fact-range")).to_have_text("10:00:00 \u2013 12:00:00")

    live.tick(update_with_score("0b1c", NOON_MS + MINUTE_MS, 0.8))
    expect(page.locator(".fact-range")).to_have_text("10:00:00 \u2013 12:01:00")
    expect_address(page, "from=2026-01-04T10%3A00%3A00.000Z&to=2026-01-04T12%3A01%3A00.000Z")
    page.reload()
    expect(page.locator("#chart-title")).to_have_text("Whole session")
    live.tick(update_with_score("0b1c", NOON_MS + 2 * MINUTE_MS, 0.8))
    expect(page.locator(".fact-range")).to_have_text("10:00:00 \u2013 12:02:00")
    choose(page, "5 min")
    expect(page.locator(".fact-range")).to_contain_text("12:02:00")
    expect_address(page, "#/session/0b1c")


def test_a_live_range_is_that_of_the_service_when_the_clock_of_the_browser_is_an_hour_off(
    open_window: Open, live: FakeService
) -> None:
    for off_ms in (HOUR_MS, -HOUR_MS):
        window = open_window()
        shift = f"const now = Date.now; Date.now = () => now() - now() + {NOON_MS + off_ms};"
        window.page.add_init_script(shift)
        page = window.open("0b1c")
        choose(page, "30 min")
        expect(page.locator(".fact-range")).to_have_text("11:30:00 \u2013 12:00:00")
        path, asked = live.history.queries[-1]
        assert path.endswith("/timeline")
        assert asked["from"] == "2026-01-04T11:30:00.000Z"


def test_a_session_that_ends_while_it_is_shown_is_frozen_and_one_that_goes_on_is_live_again(
    window: Window, live: FakeService
) -> None:
    # The clock of Playwright would also move that of the connection, which begins anew then.
    window.page.add_init_script(_SKIP_TIME)
    page = window.open("0b1c")
    expect(page.locator(".score-panel h2")).to_have_text("Score")
    [stored] = live.history.summaries
    stored |= {"state": "ended", "endedAt": "2026-01-04T12:00:00.000Z", "durationS": 7200}

    page.evaluate("globalThis.skippedMs = 16_000")
    expect(page.locator(".about-ended")).to_contain_text("Ended at 12:00")
    expect(page.locator("#chart-title")).to_have_text("Whole session")
    stored |= {"state": "live", "endedAt": None, "durationS": None}
    live.tick(update_with_score("0b1c", NOON_MS + 10 * MINUTE_MS, 0.8))
    expect(page.locator(".score-panel h2")).to_have_text("Score")
    expect(page.locator(".score-number")).to_have_text("80")
    expect(page.locator(".about-ended")).to_be_hidden()


def test_without_its_history_a_session_goes_on_live_and_the_history_comes_back_by_itself(
    window: Window, live: FakeService
) -> None:
    window.ignore("503")
    live.history.refusal = (503, "unavailable", "the database is away")
    page = window.open("0b1c")
    expect(page.locator(".brush-state")).to_contain_text("the database is away")
    live.tick(update_with_score("0b1c", NOON_MS + TICK_MS, 0.8))
    expect(page.locator(".score-number")).to_have_text("80")
    choose(page, "30 min")
    expect(page.locator(".chart-state")).to_contain_text("The history is not available")

    live.history.refusal = None
    expect(page.locator(".fact-range")).to_have_text("11:30:05 \u2013 12:00:05")
    expect(page.locator(".brush-state")).to_have_text("")


def test_the_curve_stays_while_the_service_is_too_busy_to_send_it_again(
    window: Window, live: FakeService
) -> None:
    window.ignore("status of 429")
    page = window.open("0b1c")
    choose(page, "All")
    expect(page.locator(".fact-range")).to_have_text("10:00:00 \u2013 12:00:00")
    live.history.refusal = (429, "too_many_queries", "too many queries")

    with page.expect_response(lambda each: "/timeline" in each.url and each.status == 429):
        live.disconnect_clients()
    window.wait_until_live()
    live.tick(update_with_score("0b1c", NOON_MS + MINUTE_MS, 0.8))
    expect(page.locator(".fact-range")).to_have_text("10:00:00 \u2013 12:01:00")
    expect(page.locator(".brush-state")).to_have_text("")


@pytest.mark.parametrize(
    "query", ["from=banana&to=", "from=2026-01-05T00:00Z&to=2026-01-01T00:00Z"]
)
@pytest.mark.usefixtures("ended")
def test_an_address_with_a_range_that_is_none_shows_the_whole_session(
    window: Window, query: str
) -> None:
    page = window.open(f"0b1c?{query}")
    expect(page.locator("#chart-title")).to_have_text("Whole session")
    expect(page.locator(".fact-points")).not_to_have_text("0")


def test_times_name_their_zone_where_the_clock_changes_in_the_session(
    open_window: Open, service: FakeService
) -> None:
    begin_ms = at_ms({"timestamp": "2026-10-25T00:00:00Z"})  # 02:00 in Berlin, for the first time
    rows = rows_between("night", begin_ms, begin_ms + 2 * HOUR_MS)
    service.history.end(summary("night", begin_ms, 7200), rows)
    page = open_window(timezone_id="Europe/Berlin").open("night")

    expect(page.locator(".fact-range")).to_have_text("02:00:00 CEST \u2013 03:00:00 CET")
    expect(page.locator(".about-ended")).to_contain_text("Ended at 03:00 CET on 25 Oct 2026")
    page.locator(".chart").focus()
    for _ in range(5):
        page.keyboard.press("PageUp")
        page.keyboard.press("PageDown")
    page.keyboard.press("Home")
    expect(page.locator(".tooltip-time")).to_have_text("02:00:00 CEST")
    page.keyboard.press("End")
    expect(page.locator(".tooltip-time")).to_have_text("03:00:00 CET")


@pytest.mark.usefixtures("ended")
def test_the_parts_of_the_score_are_shown_on_average_and_for_the_selected_point(
    window: Window, service: FakeService
) -> None:
    page = window.open("0b1c")
    names = page.locator(".part-name")
    expect(names).to_have_text(["Chat", "Active users", "Poll", "Reactions", "Leaving"])
    means = page.locator(".part-points").all_inner_texts()
    rows = service.history.rows["0b1c"]
    chat = sum(one["contributions"]["chat"] for one in rows) / len(rows)
    assert float(means[0]) == pytest.approx(100 * chat, abs=0.2)
    expect(page.locator(".parts-when")).to_have_text("Average of the whole session")
    image = page.get_by_role("img", name="Points that each signal added")
    expect(image).to_have_attribute("aria-label", f"{_LABEL}: Chat {means[0]}, {_rest(means)}")

    page.locator(".chart").focus()
    page.keyboard.press("Home")
    expect(page.locator(".parts-when")).to_have_text("At 04:00:00")
    assert page.locator(".part-points").all_inner_texts() != means


_LABEL = "Points that each signal added, average of the whole session"


def _rest(means: list[str]) -> str:
    names = ("Active users", "Poll", "Reactions", "Leaving")
    return ", ".join(f"{name} {mean}" for name, mean in zip(names, means[1:], strict=True))


@pytest.mark.usefixtures("ended")
def test_eight_hours_are_drawn_in_less_than_50_ms(window: Window) -> None:
    window.ignore("willReadFrequently")
    page = window.open("0b1c")
    expect(page.locator("#chart-title")).to_have_text("Whole session")

    # Of each repetition, the shortest: the machine of the test is busy with other work.
    drawn_ms: float = page.evaluate(
        """async () => {
          const { fetchTimeline } = await import("/static/app/history-api.js");
          const { pointsOf } = await import("/static/app/session/timeline-points.js");
          const { ScoreChart } = await import("/static/app/session/score-chart.js");
          const path = "/static/app/session/contributions-chart.js";
          const { ContributionsChart } = await import(path);
          const timeline = await fetchTimeline("0b1c", { fromMs: null, toMs: null });
          const box = document.querySelector(".chart").cloneNode();
          const parts = document.querySelector(".parts").cloneNode(true);
          parts.querySelector(".parts-legend").replaceChildren();
          parts.querySelector(".parts-chart").replaceChildren();
          document.body.append(box, parts);
          const charts = [new ScoreChart(box, () => {}), new ContributionsChart(parts)];
          const [fromMs, toMs] = [Date.parse(timeline.from), Date.parse(timeline.to)];
          const gaps = timeline.gaps.map(
            ({ from, to }) => ({ fromMs: Date.parse(from), toMs: Date.parse(to) }));
          const times = [];
          const marks = { incidents: [], interventions: [], gaps, isLive: false, name: "" };
          for (let turn = 0; turn < 7; turn += 1) {
            const begin = performance.now();
            const content = { ...marks, points: pointsOf(timeline), fromMs, toMs: toMs + turn };
            for (const chart of charts) chart.show(content);
            await null; // uPlot draws in a microtask
            for (const canvas of [box, parts].map((each) => each.querySelector("canvas")))
              canvas.getContext("2d").getImageData(0, 0, 1, 1); // waits for the pixels
            times.push(performance.now() - begin);
          }
          return Math.min(...times);
        }"""
    )
    print(f"drawn in {drawn_ms} ms")
    assert drawn_ms < 50


@pytest.mark.usefixtures("ended")
def test_a_session_that_has_ended_fits_a_phone(open_window: Open) -> None:
    page = open_window(viewport={"width": 360, "height": 640}).open("0b1c")
    expect(page.locator("#chart-title")).to_have_text("Whole session")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
