"""Titles among the events: they are collected in order, with their tenant, and score nothing."""

import json

import pytest

from conductor_actors.domain.entries import Entry
from conductor_actors.domain.intake_state import IntakeRules
from conductor_actors.domain.session_titles import SessionDetails, TitleChange
from tests.support.event_samples import SESSION_INFO
from tests.support.score_rows import AT_MS
from tests.support.ticking import TickingIntake


def info(title: object, name: str = SESSION_INFO, **keys: object) -> Entry:
    body = {"sessionId": "keynote", "title": title, **keys}
    return AT_MS, 0, name, json.dumps(body).encode()


def test_titles_are_collected_in_order_with_their_tenant() -> None:
    intake = TickingIntake(IntakeRules())
    list(intake.take_ticking([info("a"), info("b", "acme:" + SESSION_INFO), info("c")]))
    assert intake.titles.pop() == [
        TitleChange("default", "keynote", AT_MS, SessionDetails("a")),
        TitleChange("acme", "keynote", AT_MS, SessionDetails("b")),
        TitleChange("default", "keynote", AT_MS, SessionDetails("c")),
    ]
    assert intake.titles.pop() == []


@pytest.mark.parametrize("size", [10, 199], ids=["short", "long"])
def test_a_title_begins_no_session_and_is_no_event_of_one(size: int) -> None:
    intake = TickingIntake(IntakeRules())
    list(intake.take_ticking([info("x" * size, speakers=["y" * 99] * (size // 40))]))
    assert dict(intake.flush()) == {}
    assert (intake.accepted, intake.skipped, intake.rejected) == (0, 1, [])
    assert len(intake.titles.pop()) == 1


def test_a_title_that_is_invalid_is_rejected_and_changes_nothing() -> None:
    intake = TickingIntake(IntakeRules())
    list(intake.take_ticking([info("a\nb"), info(5), info("x" * 201), info("fine")]))
    assert [rejected.reason for rejected in intake.rejected] == ["wrong_shape"] * 3
    assert [change.details.title for change in intake.titles.pop()] == ["fine"]


@pytest.mark.parametrize("event_id", [5, "", "a\0b", "x" * 256, {"id": "e"}])
def test_an_event_id_that_cannot_be_used_counts_as_absent(event_id: object) -> None:
    intake = TickingIntake(IntakeRules())
    list(intake.take_ticking([info("a", eventId=event_id)]))
    assert intake.titles.pop() == [TitleChange("default", "keynote", AT_MS, SessionDetails("a"))]
    assert intake.ignored_keys == {"eventId": 1}
