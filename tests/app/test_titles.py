"""Titles pass through a whole collector, and none is lost when it ends or its servers are away."""

import json

from conductor_actors.domain.entries import Entry
from conductor_actors.errors import Unavailable
from conductor_actors.ports import ReadResult
from tests.app.collector_run import TICK_MS, CollectorRun, replay_rows
from tests.support.event_samples import REACTION, SESSION_INFO
from tests.support.score_rows import AT_MS


def info(number: int, title: str, session_id: str = "keynote", name: str = SESSION_INFO) -> Entry:
    body = json.dumps({"sessionId": session_id, "title": title}).encode()
    return AT_MS + number, number, name, body


def reaction(number: int) -> Entry:
    return AT_MS + number, number, REACTION, b'{"sessionId":"keynote","userId":"ann"}'


def run(*entries: Entry) -> CollectorRun:
    return CollectorRun([ReadResult(entries, AT_MS + TICK_MS, AT_MS + TICK_MS)])


def test_titles_are_stored_and_change_no_row() -> None:
    entries = [reaction(1), info(2, "first"), info(3, "x", "planned"), reaction(4), info(5, "last")]
    collector = run(*entries)
    rows = collector.run_to_end()
    assert collector.title_table.titles == {"keynote": "last", "planned": "x"}
    assert rows
    assert rows == replay_rows(entries)
    assert {session for _, session, _ in rows} == {"keynote"}


def test_titles_of_tenants_are_kept_apart() -> None:
    collector = run(info(1, "ours"), info(2, "theirs", name="acme:" + SESSION_INFO))
    collector.run_to_end()
    assert collector.title_table.details("keynote").title == "ours"
    assert collector.title_table.details("keynote", "acme").title == "theirs"


def test_an_invalid_title_is_a_dead_letter_with_its_reason() -> None:
    collector = run(info(1, "a\nb"), info(2, "fine"))
    collector.run_to_end()
    assert [(each.source, each.reason) for each in collector.dead_letters.letters] == [
        (SESSION_INFO, "wrong_shape")
    ]
    assert collector.title_table.titles == {"keynote": "fine"}


def test_a_collector_that_ends_in_an_outage_leaves_titles_to_its_successor() -> None:
    collector = run(info(1, "Keynote"))
    collector.title_table.outage = Unavailable("refused")
    collector.run_to_end()
    assert collector.title_table.titles == {}
    assert [each.details.title for each in collector.title_outbox.changes.values()] == ["Keynote"]
    assert collector.checkpoints.load() is not None
