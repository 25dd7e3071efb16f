import json
from contextlib import suppress
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from conductor_actors.domain.session_titles import (
    MAX_SPEAKER_CHARS,
    MAX_SPEAKERS,
    MAX_TITLE_CHARS,
    SessionDetails,
    decode_details,
    decode_session_info,
)
from conductor_actors.domain.texts.iso_times import milliseconds
from conductor_actors.errors import InvalidEvent
from conductor_actors.instants import to_iso

KEYNOTE: Final[dict[str, Any]] = {
    "title": "Opening keynote",
    "speakers": ["Ada Lovelace", "Грейс Хоппер"],
    "plannedBegin": "2026-01-04T12:00:00.000Z",
    "plannedEnd": "2026-01-04T14:30:00+01:00",
    "eventTitle": "Winter summit ❄",
    "eventId": "summit",
}
NOON_MS: Final = 1_767_528_000_000


def details_of(**changes: object) -> SessionDetails:
    return decode_details(json.dumps(KEYNOTE | changes).encode())


def test_details_are_read_whole() -> None:
    assert details_of() == SessionDetails(
        "Opening keynote",
        ("Ada Lovelace", "Грейс Хоппер"),
        NOON_MS,
        NOON_MS + 90 * 60_000,
        "summit",
        "Winter summit ❄",
    )


def test_a_title_is_all_that_is_required() -> None:
    assert decode_details(b'{"title":null,"other":{"key":1}}') == SessionDetails(None)
    with pytest.raises(ValueError, match="title is missing"):
        decode_details(b"{}")


def test_an_event_keeps_its_title_unless_another_or_none_is_given() -> None:
    assert decode_details(b'{"title":"a"}').event_title is UNSET
    assert details_of(eventTitle=None).event_title is None


def test_spaces_around_a_text_are_removed_and_a_blank_title_is_none() -> None:
    found = details_of(title="  Keynote ", speakers=[" Ada "], eventTitle=" ")
    assert (found.title, found.speakers, found.event_title) == ("Keynote", ("Ada",), None)
    assert details_of(title="").title is None


@pytest.mark.parametrize("text", ["é" * 200, "😀" * 200, "<b>&amp;</b> \\ % ' \"", "שלום עולם"])
def test_a_title_of_200_characters_of_any_script_is_accepted(text: str) -> None:
    assert details_of(title=text, eventTitle=text).title == text


@pytest.mark.parametrize(
    "text", ["a\nb", "a\0b", "\x7f", "a\x9bb", "a\u2028b", "\u202egnp.exe", "line\r", "\t"]
)
@pytest.mark.parametrize("name", ["title", "eventTitle", "speakers"])
def test_a_text_with_control_characters_is_refused(name: str, text: str) -> None:
    with pytest.raises(ValueError, match="must be one line without control characters"):
        details_of(**{name: [text] if name == "speakers" else text})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"title": "x" * (MAX_TITLE_CHARS + 1)}, "title has at most 200 characters"),
        ({"title": 5}, "title"),
        ({"title": ["Keynote"]}, "title"),
        ({"eventTitle": "😀" * (MAX_TITLE_CHARS + 1)}, "eventTitle has at most 200 characters"),
        ({"speakers": ["x"] * (MAX_SPEAKERS + 1)}, "at most 20"),
        ({"speakers": ["x" * (MAX_SPEAKER_CHARS + 1)]}, "a speaker has at most 100 characters"),
        ({"speakers": ["Ada", " "]}, "a speaker has a name"),
        ({"speakers": "Ada"}, "speakers"),
        ({"speakers": [None]}, "speakers"),
        ({"plannedBegin": "2026-02-30T12:00:00Z"}, "plannedBegin must be a time that exists"),
        ({"plannedBegin": "2026-01-04"}, "plannedBegin must be a time such as"),
        ({"plannedEnd": "2026-01-04T25:00:00Z"}, "plannedEnd must be a time that exists"),
        ({"plannedEnd": "2026-01-04T12:00:60Z"}, "plannedEnd must be a time that exists"),
        ({"plannedEnd": "2026-01-04T12:00:00"}, "plannedEnd must be a time such as"),
        ({"plannedEnd": "٢٠٢٦-01-04T12:00:00Z"}, "plannedEnd must be a time such as"),
        ({"plannedEnd": 1767528000}, "plannedEnd"),
        ({"plannedBegin": "0001-01-01T00:00:00+23:59"}, "plannedBegin must be after"),
        ({"plannedEnd": "9999-12-31T23:59:59-23:59"}, "plannedEnd must be"),
        ({"plannedEnd": KEYNOTE["plannedBegin"]}, "plannedEnd must be after plannedBegin"),
        ({"eventId": ""}, "eventId"),
        ({"eventId": "x" * 256}, "eventId"),
        ({"eventId": "a\0b"}, "eventId must not have NUL"),
    ],
)
def test_details_that_are_invalid_are_refused_with_the_reason(
    changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        details_of(**changes)


def test_a_planned_time_may_be_given_alone() -> None:
    assert details_of(plannedBegin=None).planned_end_ms == NOON_MS + 90 * 60_000
    assert details_of(plannedEnd=None).planned_begin_ms == NOON_MS


@given(st.binary() | st.text().map(str.encode))
def test_bytes_that_are_no_details_raise_value_errors_alone(body: bytes) -> None:
    for decode in (decode_details, decode_session_info):
        with suppress(ValueError, InvalidEvent):
            decode(body)


def test_a_body_that_is_nested_too_deep_is_refused() -> None:
    deep = b"[" * 10_000 + b"]" * 10_000
    with pytest.raises(ValueError, match="nested too deep"):
        decode_details(b'{"title":"x","z":%b}' % deep)


def test_an_event_names_its_session() -> None:
    body = json.dumps(KEYNOTE | {"sessionId": "keynote"}).encode()
    assert decode_session_info(body) == ("keynote", details_of())


@pytest.mark.parametrize("placeholder", ["unknown", "keynote", None])
def test_an_event_id_that_is_a_placeholder_is_none(placeholder: str | None) -> None:
    body = {"title": "x", "eventTitle": "y", "sessionId": "keynote", "eventId": placeholder}
    _, details = decode_session_info(json.dumps(body).encode())
    assert details == SessionDetails("x", event_title="y")


def test_an_event_with_invalid_details_is_invalid() -> None:
    body = json.dumps(KEYNOTE | {"sessionId": "keynote", "title": "a\nb"}).encode()
    with pytest.raises(InvalidEvent, match="wrong_shape"):
        decode_session_info(body)


def test_details_can_be_stored_and_read_again() -> None:
    for details in (details_of(), SessionDetails("x"), SessionDetails(None, event_title=None)):
        encoded = msgspec.msgpack.encode(details)
        assert msgspec.msgpack.decode(encoded, type=SessionDetails) == details


@given(st.integers(min_value=0, max_value=253_402_214_399_999))
def test_a_time_is_read_as_it_was_written(ms: int) -> None:
    assert milliseconds(to_iso(ms, "milliseconds")) == ms


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-01-04T12:00:00Z", NOON_MS),
        ("2026-01-04T12:00:00.1Z", NOON_MS + 100),
        ("2026-01-04T12:00:00.123999999Z", NOON_MS + 123),
        ("2026-01-04T17:30:00+05:30", NOON_MS),
        ("2026-01-04T08:30:00-03:30", NOON_MS),
    ],
)
def test_a_time_may_have_a_fraction_and_an_offset(text: str, ms: int) -> None:
    assert milliseconds(text) == ms
