"""The examples of the client's documentation work in a page with copies of the client's files."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Dialog, Page, expect

from tests.dashboard.fake_server import STATIC, FakeService, running
from tests.dashboard.page.conftest import Window
from tests.dashboard.sample_bodies import (
    NOON_MS,
    TICK_MS,
    incident,
    incident_end,
    record,
    update_with_score,
)
from tests.dashboard.sample_interventions import QUESTION, suggestion
from tests.support.documents import CLIENT, examples

COPIED: Final = (
    *("engagement-stream.js", "subscriptions.js", "types.d.ts"),
    "vendor/socket.io.esm.min.js",
)
WATCH, OPEN, ANSWER, STOP, HOOK = (example.text for example in examples(CLIENT, "js"))
PAGE: Final = """\
<!doctype html>
<link rel="icon" href="/static/icons/favicon.svg">
<script src="token.js"></script>
<script type="module" src="page.js"></script>
<output></output>
"""
COMPONENT: Final = """
import { render } from "react";
globalThis.show = (sessionId) => render(() => {
  const session = useEngagement(sessionId);
  document.querySelector("output").textContent = session?.latest?.score ?? "waiting";
});
show("keynote");
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[FakeService]:
    with running(FakeService(extra_pages=tmp_path)) as service:
        yield service


@pytest.fixture
def page(window: Window, service: FakeService, tmp_path: Path) -> Page:
    """A page in a folder that the fake service serves, with copies of the client's files."""
    for name in COPIED:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(STATIC / name, tmp_path / name)
    shutil.copy(Path(__file__).parent / "react_stand_in.js", tmp_path)
    (tmp_path / "index.html").write_text(PAGE)
    (tmp_path / "token.js").write_text('var token = "a token";')
    service.token = "a token"
    return window.page


def open_page(page: Page, service: FakeService, folder: Path, module: str) -> None:
    assert "http://localhost:3002" in module
    text = module.replace("http://localhost:3002", service.url)
    (folder / "page.js").write_text(text.replace('"react"', '"./react_stand_in.js"'))
    page.goto(f"{service.url}/own/index.html")


def test_the_documentation_names_each_file_to_copy() -> None:
    text = CLIENT.read_text()
    assert all(f"`{name}`" in text for name in COPIED)


def test_the_example_receives_updates_until_it_stops_watching(
    page: Page, service: FakeService, tmp_path: Path
) -> None:
    logged = list[str]()
    page.on("console", lambda message: logged.append(message.text))
    service.points["keynote"] = [update_with_score("keynote", NOON_MS, 0.6)]
    stop = f"\n{OPEN}\n{ANSWER}\nglobalThis.stopWatching = () => {{\n{STOP}\n}};"
    with page.expect_console_message(lambda message: message.text == "60% HIGH, 1 points"):
        open_page(page, service, tmp_path, WATCH + stop)
    service.wait_for_subscribers("keynote", 1)
    began = incident("keynote", NOON_MS, reason="Nobody writes.")
    with page.expect_console_message(lambda message: message.text == "SUDDEN_DROP: Nobody writes."):
        service.send_anomaly(began)
    text = "SUDDEN_DROP: over after 60 s"
    with page.expect_console_message(lambda message: message.text == text):
        service.end_anomaly(incident_end(began, NOON_MS + 60_000))
    assert logged[0] == "connecting"
    page.evaluate("stopWatching()")
    service.wait_for_subscribers("keynote", 0)
    count = len(logged)
    service.tick(update_with_score("keynote", NOON_MS + TICK_MS, 0.7))
    page.evaluate("0")
    assert len(logged) == count


def test_the_example_has_the_open_anomalies_of_all_sessions(
    page: Page, service: FakeService, tmp_path: Path
) -> None:
    service.points["keynote"] = [update_with_score("keynote", NOON_MS, 0.6)]
    began = incident("keynote", NOON_MS)
    service.anomalies.append(record(began))
    with page.expect_console_message(lambda message: message.text == "1 open"):
        open_page(page, service, tmp_path, f"{WATCH}\n{OPEN}")
    with page.expect_console_message(lambda message: message.text == "0 open"):
        service.end_anomaly(incident_end(began, NOON_MS + 60_000))


@pytest.mark.parametrize(("is_confirmed", "answer"), [(True, "approve"), (False, "reject")])
def test_the_example_asks_once_about_a_suggestion_and_answers_it(
    page: Page, service: FakeService, tmp_path: Path, *, is_confirmed: bool, answer: str
) -> None:
    asked = list[str]()

    def decide(dialog: Dialog) -> None:
        asked.append(dialog.message)
        (dialog.accept if is_confirmed else dialog.dismiss)()

    page.on("dialog", decide)
    service.points["keynote"] = [update_with_score("keynote", NOON_MS, 0.6)]
    open_page(page, service, tmp_path, f"{WATCH}\n{ANSWER}")
    service.wait_for_subscribers("keynote", 1)
    with page.expect_response(lambda response: response.url.endswith(f"/poll-1/{answer}")):
        service.send_decision(suggestion())
    service.send_decision(suggestion())
    with page.expect_console_message(lambda message: message.text == "70% HIGH, 2 points"):
        service.tick(update_with_score("keynote", NOON_MS + TICK_MS, 0.7))

    [question] = asked
    assert QUESTION in question


def test_the_hook_watches_the_session_that_the_component_shows(
    page: Page, service: FakeService, tmp_path: Path
) -> None:
    service.points |= {
        "keynote": [update_with_score("keynote", NOON_MS, 0.6)],
        "panel": [update_with_score("panel", NOON_MS, 0.4)],
    }
    open_page(page, service, tmp_path, HOOK + COMPONENT)
    expect(page.locator("output")).to_have_text("0.6")
    service.wait_for_subscribers("keynote", 1)
    service.tick(update_with_score("keynote", NOON_MS + TICK_MS, 0.7))
    expect(page.locator("output")).to_have_text("0.7")
    page.evaluate('show("panel")')
    expect(page.locator("output")).to_have_text("0.4")
    service.wait_for_subscribers("keynote", 0)
