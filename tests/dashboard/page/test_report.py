"""The report of a session or an event, on the screen and on paper."""

import re
import zlib
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.fake_server import FakeService
from tests.dashboard.page.conftest import Open, Window
from tests.dashboard.sample_bodies import Body
from tests.dashboard.sample_reports import EVENT, report

A4_POINTS = (595, 842)


@pytest.fixture
def reports(service: FakeService) -> FakeService:
    service.reports.session_reports["keynote"] = report()
    service.reports.event_reports[EVENT] = report("event", 240)
    return service


def _open(window: Window, path: str) -> Page:
    window.page.goto(f"{window.service.url}/#/{path}/report")
    window.wait_until_live()
    return window.page


def test_the_report_of_a_session_has_all_of_its_figures(
    window: Window, reports: FakeService
) -> None:
    reports.reports.session_reports["keynote"]["session"]["speakers"] = ["Ada L.", "Grace H."]
    page = _open(window, "session/keynote")
    expect(page.get_by_role("heading", level=1)).to_have_text("Opening keynote")
    expect(page).to_have_title("Opening keynote, report · Engagement")
    expect(page.locator(".report-about")).to_have_text("Ada L., Grace H. · Event Conference 2026")
    expect(page.locator(".report-when")).to_have_text("4 Jan 2026, 12:00 \u2013 13:30 (GMT+0)")

    expect(page.locator(".report-figures > div")).to_have_text(
        [
            *("Average score55%", "Peak score83%at 12:30", "People at most212"),
            *("Duration1 h 30 min", "Messages1,834", "Reactions977"),
            *("Polls3up to 60% took part", "Anomalies21 action of the conductor"),
        ]
    )
    assert _rows(page, "categories")[2] == ["Moderate", "45%", "40 min 30 s"]
    assert _rows(page, "polls")[0] == ["12:20", "40%"]
    reason = "2 messages and reactions in the last 20 s; 58 were expected of 60 people."
    assert _rows(page, "anomalies")[0] == ["12:25", "Sudden drop", "2 min 30 s", reason]
    followed = (
        "51% on average from 30 to 120 s later, 38% before: 6 points higher than in similar "
        "moments without it (45%)."
    )
    assert _rows(page, "interventions") == [["12:25", "Poll", "Measured", followed]]
    expect(page.locator(".curve-shade")).to_have_count(2)
    expect(page.locator(".curve-mark")).to_have_count(1)
    expect(page.locator(".report-sessions")).to_be_hidden()
    link = page.get_by_role("link", name="↑ 23 points 41% → 64%")
    expect(link).to_have_attribute("href", re.compile("^#/session/keynote[?]from="))


def test_what_was_not_done_in_time_is_compared_with_nothing(
    window: Window, reports: FakeService
) -> None:
    [done] = reports.reports.session_reports["keynote"]["interventions"]
    late = {"sentAt": "2026-01-04T12:27:00.000Z"}  # the end of the time that is measured
    dismissed, held = {"sentAt": None}, {"sentAt": None, "type": "HOLD"}
    open_still = {"sentAt": None, "status": "SUGGESTED", "outcome": None}
    many = [done | each for each in (late, dismissed, held, open_still)]
    reports.reports.session_reports["keynote"]["interventions"] = many
    page = _open(window, "session/keynote")

    mean = "51% on average from 30 to 120 s later, 38% before."
    not_done = f"It was not done in time. {mean}"
    texts = [each[-1] for each in _rows(page, "interventions")]
    assert texts == [not_done, not_done, mean, "Not known yet."]
    expect(page.locator(".curve-mark")).to_have_count(1)
    expect(page.locator(".report-figures")).to_contain_text("Anomalies21 action of the conductor")


def test_contributions_are_compared_with_the_other_sessions_if_there_are_any(
    window: Window, reports: FakeService
) -> None:
    page = _open(window, "session/keynote")
    expect(page.locator(".report-pull-text")).to_have_text(
        "Against the event\u2019s other sessions, what pulled the score up: chat (+3), "
        "polls (+2.5), active people (+2.5), reactions (+1); down: people leaving (\u22120.8)."
    )
    assert _rows(page, "pull")[0] == ["Chat", "", "+18", "+15", "+3"]

    body = reports.reports.session_reports["keynote"]
    alone = {"others": None, "difference": None}
    body["contributions"] = {key: each | alone for key, each in body["contributions"].items()}
    page.reload()

    expect(page.locator(".report-pull-text")).to_contain_text("No other session")
    assert _rows(page, "pull")[4] == ["People leaving", "", "\u22121.2"]


def test_the_report_of_an_event_names_its_sessions_and_links_their_reports(
    window: Window, reports: FakeService
) -> None:
    window.ignore("404")
    assert "session-3" not in reports.reports.session_reports
    page = _open(window, f"event/{EVENT}")
    expect(page.locator(".report-about")).to_have_text("5 sessions")
    expect(page.locator(".report-anomalies tbody tr").first).to_contain_text("keynote")

    page.get_by_role("link", name="session-3").click()

    expect(page).to_have_url(re.compile("#/session/session-3/report$"))
    expect(page.get_by_role("link", name="Session", exact=True)).to_be_visible()
    expect(page.locator(".report-state")).to_contain_text("Nothing is stored of this session")


def test_the_report_of_a_live_session_is_preliminary_and_without_data_says_so(
    window: Window, reports: FakeService
) -> None:
    none: Body = {"polls": [], "anomalies": [], "interventions": []}
    reports.reports.session_reports["keynote"] |= {"state": "live", "endedAt": None, **none}
    page = _open(window, "session/keynote")

    expect(page.locator(".report-preliminary")).to_have_text(
        "Preliminary: the session is live. These are the figures until 13:29."
    )
    expect(page.locator(".report-polls")).to_contain_text("No poll was open.")
    expect(page.locator(".report-anomalies table")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_prints_on_a4_in_dark_ink_and_without_the_page_around_it(
    open_window: Open, reports: FakeService, scheme: str
) -> None:
    assert reports.reports.session_reports["keynote"]["kind"] == "session"
    window = open_window(color_scheme=scheme)
    page = _open(window, "session/keynote")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    expect(page.locator(".report-body")).to_be_visible()

    pdf = page.pdf(prefer_css_page_size=True)
    page.emulate_media(media="print")

    sizes = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", _unpacked(pdf))
    assert [tuple(round(float(each)) for each in size) for size in sizes] == [A4_POINTS] * 2
    for hidden in (".top", ".view-bar", ".connection-bar"):
        expect(page.locator(hidden).locator("visible=true")).to_have_count(0)
    style = "getComputedStyle(document.querySelector('h1#report-title')).color"
    assert page.evaluate(style) == "rgb(22, 26, 32)"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgba(0, 0, 0, 0)"
    page.set_viewport_size({"width": 673, "height": 950})  # A4 without its margins
    assert page.evaluate("document.documentElement.scrollWidth") == 673


def test_the_report_fits_a_phone(open_window: Open, reports: FakeService) -> None:
    long = "W" * 255
    body = reports.reports.event_reports[EVENT]
    body["event"] |= {"title": long}
    for each in (*body["polls"], *body["anomalies"], *body["interventions"]):
        each["sessionId"] = long
    body["sessions"][0] |= {"sessionId": long, "title": None}
    window = open_window(viewport={"width": 360, "height": 900})
    page = _open(window, f"event/{EVENT}")
    expect(page.locator(".report-body")).to_be_visible()

    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_times_name_their_zone_where_the_clock_changes(
    open_window: Open, reports: FakeService
) -> None:
    body = reports.reports.session_reports["keynote"]
    times = ("2026-10-25T00:30:00.000Z", "2026-10-25T02:30:00.000Z")
    body |= {"startedAt": times[0], "endedAt": times[1], "peakAt": times[1]}
    window = open_window(timezone_id="Europe/Berlin")
    page = _open(window, "session/keynote")

    expect(page.locator(".report-when")).to_have_text("25 Oct 2026, 02:30 CEST \u2013 03:30 CET")
    expect(page.locator(".report-figures")).to_contain_text("at 03:30 CET")
    axis = page.locator(".report-chart .time-axis span")
    assert "02:00\nCET" in axis.all_inner_texts()


def test_every_id_has_its_report(window: Window, reports: FakeService) -> None:
    for each in ("a/report", "__proto__", '%2f#?"<b>', "\U0001f600" * 255):
        reports.reports.session_reports[each] = report()
        reports.reports.session_reports[each]["session"] |= {"title": None}
        page = _open(window, f"session/{quote(each, safe='')}")
        expect(page.get_by_role("heading", level=1)).to_have_text(each)
        expect(page.locator(".report-body")).to_be_visible()


def _rows(page: Page, part: str) -> list[list[str]]:
    """Return the visible texts of a table's cells."""
    page.locator(f".report-{part} tbody tr").first.wait_for()
    rows: list[list[str]] = page.evaluate(
        """(part) => [...document.querySelectorAll(`.report-${part} tbody tr`)].map((row) =>
          [...row.cells].filter((cell) => !cell.hidden).map((cell) => cell.innerText.trim()))""",
        part,
    )
    return rows


def _unpacked(pdf: bytes) -> bytes:
    """Return a PDF with its compressed parts as they are."""
    parts = re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL)
    unpacked = [pdf]
    for part in parts:
        try:
            unpacked.append(zlib.decompressobj().decompress(part))
        except zlib.error:
            continue
    return b"".join(unpacked)
