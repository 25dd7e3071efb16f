"""Exports: what is requested, what is saved, and what is said when it fails."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Download, Page, expect

from tests.dashboard.fake_server import FakeService
from tests.dashboard.page.conftest import Open, Window
from tests.dashboard.sample_bodies import NOON_MS, update_with_score
from tests.dashboard.sample_reports import EVENT, overview, summary, with_points

TOKEN = "a.b.c"


@pytest.fixture
def session(service: FakeService) -> FakeService:
    service.points["key/note"] = [update_with_score("key/note", NOON_MS, 0.5)]
    return service


def _open_dialog(page: Page) -> None:
    page.get_by_role("button", name="Export").click()
    expect(page.get_by_role("dialog", name="Export")).to_be_visible()


def test_an_export_is_downloaded_with_the_token_into_a_named_file(
    window: Window, session: FakeService
) -> None:
    session.token = TOKEN
    window.page.goto(f"{session.url}/#token={TOKEN}&/session/key%2Fnote")
    page = window.page
    window.wait_until_live()
    _open_dialog(page)
    page.get_by_text("What the columns mean").click()
    columns = page.locator(".export-columns dl")
    expect(columns).to_have_text("time (timestamp)When, in engagement_metrics.")
    page.get_by_role("combobox", name="Data").select_option("Anomalies")
    expect(columns).to_have_text("time (timestamp)When, in anomalies.")
    page.get_by_role("radio", name="CSV for Excel").check()
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download").click()

    assert downloading.value.suggested_filename == "anomalies-key-note.csv"
    assert Path(downloading.value.path()).read_bytes() == b"".join(session.reports.export)
    expect(page.locator(".export-done")).to_have_text(
        "anomalies-key-note.csv, 1 KB, is saved with your downloads."
    )
    [query] = session.reports.exported
    assert query == {
        "session": "key/note",
        "table": "anomalies",
        "format": "csv",
        "excel": "true",
    }


def test_the_range_of_the_page_is_exported_unless_it_is_changed(
    window: Window, session: FakeService
) -> None:
    shown = "?from=2026-01-04T11:58:00.000Z&to=2026-01-04T12:00:00.000Z"
    page = window.open(f"key%2Fnote{shown}")
    _open_dialog(page)
    page.get_by_label("Until before").fill("2026-01-04T11:00:00")
    page.get_by_role("button", name="Download").click()
    expect(page.get_by_role("alert").filter(has_text="The end")).to_be_visible()
    assert session.reports.exported == []

    page.get_by_label("Until before").fill("2026-01-04T12:30:00")
    page.get_by_role("radio", name="Parquet").check()
    with page.expect_download():
        page.get_by_role("button", name="Download").click()

    [query] = session.reports.exported
    assert (query["from"], query["to"]) == ("2026-01-04T11:58:00.000Z", "2026-01-04T12:30:00.000Z")
    assert query["format"] == "parquet"
    assert "excel" not in query


def test_the_sessions_of_an_event_are_exported_together(
    window: Window, service: FakeService
) -> None:
    service.reports.events[EVENT] = overview([with_points(summary("keynote"), 45)])
    window.page.goto(f"{service.url}/#/event/{EVENT}")
    window.wait_until_live()
    _open_dialog(window.page)
    expect(window.page.locator(".export-what")).to_have_text(f"All sessions of event {EVENT}")
    window.page.get_by_role("radio", name="JSON lines").check()
    with window.page.expect_download() as downloading:
        window.page.get_by_role("button", name="Download").click()

    assert downloading.value.suggested_filename == f"engagement_metrics-{EVENT}.jsonl"
    [query] = service.reports.exported
    assert query == {"event": EVENT, "table": "engagement_metrics", "format": "jsonl"}


def test_the_days_and_the_event_of_the_history_are_exported(
    window: Window, service: FakeService
) -> None:
    page = window.page
    page.goto(f"{service.url}/#/sessions?from=2026-01-04&to=2026-01-05")
    _open_dialog(page)
    page.get_by_label("Until before").fill("")
    page.get_by_role("button", name="Download").click()
    expect(page.get_by_role("alert").filter(has_text="choose the beginning")).to_be_visible()
    page.get_by_label("Until before").fill("2026-01-04T12:00")
    with page.expect_download():
        page.get_by_role("button", name="Download").click()
    page.keyboard.press("Escape")

    page.goto(f"{service.url}/#/sessions?event={EVENT}")
    _open_dialog(page)
    with page.expect_download():
        page.get_by_role("button", name="Download").click()

    days = {"from": "2026-01-04T00:00:00.000Z", "to": "2026-01-04T12:00:00.000Z"}
    rest = {"table": "engagement_metrics", "format": "csv"}
    assert service.reports.exported == [days | rest, {"event": EVENT} | rest]


def test_an_export_that_is_refused_or_breaks_off_saves_nothing_and_says_why(
    window: Window, session: FakeService
) -> None:
    window.ignore("429|ERR_INCOMPLETE_CHUNKED_ENCODING")
    downloads = 0

    def count(_: Download) -> None:
        nonlocal downloads
        downloads += 1

    window.page.on("download", count)
    session.reports.refusal = (429, "overloaded", "too many exports at once")
    page = window.open("key%2Fnote")
    _open_dialog(page)
    page.get_by_role("button", name="Download").click()
    error = page.get_by_role("alert").filter(has_text="Nothing was saved")
    expect(error).to_have_text("Nothing was saved: too many exports at once.")

    session.reports.refusal = None
    is_shown = threading.Event()
    session.reports.export = _broken(is_shown)
    page.get_by_role("button", name="Download").click()
    expect(page.locator(".export-bytes")).to_have_text("200 KB received")
    is_shown.set()

    expect(error).to_have_text("Nothing was saved: the connection was lost after 200 KB.")
    expect(page.get_by_role("button", name="Download")).to_be_enabled()
    assert downloads == 0


def test_closing_the_dialog_ends_a_download_and_returns_to_its_button(
    open_window: Open, session: FakeService
) -> None:
    window = open_window()
    session.reports.export = _endless()
    page = window.open("key%2Fnote")
    _open_dialog(page)
    page.get_by_role("button", name="Download").click()
    expect(page.locator(".export-bytes")).to_contain_text("received")
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()

    with page.expect_event("requestfailed", lambda each: "/export?" in each.url):
        page.keyboard.press("Escape")

    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Export")).to_be_focused()


def test_the_copied_link_opens_the_same_range_and_has_no_token(
    open_window: Open, session: FakeService
) -> None:
    session.token = TOKEN
    window = open_window(permissions=["clipboard-read", "clipboard-write"])
    page = window.page
    shown = "/session/key%2Fnote?from=2026-01-04T11:58:00.000Z&to=2026-01-04T12:00:00.000Z"
    page.goto(f"{session.url}/#token={TOKEN}&{shown}")
    window.wait_until_live()

    page.get_by_role("button", name="Copy link").click()

    expect(page.locator("#announcements")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.replace("%3A", ":") == f"{session.url}/#{shown}"


def _broken(when: threading.Event) -> Iterator[bytes]:
    yield b"x" * 200_000
    when.wait(10)
    raise OSError


def _endless() -> Iterator[bytes]:
    while True:
        yield b"x" * 10_000
