"""What people call sessions and events, and the rules that both ways of setting it share.

A body is `{title, speakers, plannedBegin, plannedEnd, eventTitle, eventId}`; only `title` is
required. It replaces what is known of a session, while an event keeps its title unless
`eventTitle` is there. `null` removes a title.
"""

from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from conductor_actors.domain.identity import PLACEHOLDER_EVENT_ID, Id, SessionKey
from conductor_actors.domain.texts.iso_times import milliseconds
from conductor_actors.domain.texts.plain_text import NOT_PLAIN
from conductor_actors.errors import InvalidEvent

SESSION_INFO: Final = "platform.events.session.info.v1"

MAX_TITLE_CHARS: Final = 200
MAX_SPEAKERS: Final = 20
MAX_SPEAKER_CHARS: Final = 100
_END_OF_TIME_MS: Final = milliseconds("9999-12-31T00:00:00Z")  # every program can show it


class SessionDetails(msgspec.Struct, frozen=True):
    """What people know a session by. `event_title` is unset where the event keeps its title.

    `event_id` is None if it is the event that the session's rows have.
    """

    title: str | None
    speakers: tuple[str, ...] = ()
    planned_begin_ms: int | None = None
    planned_end_ms: int | None = None
    event_id: str | None = None
    event_title: str | UnsetType | None = UNSET


class TitleChange(msgspec.Struct, frozen=True):
    """The details of a session from `at_ms` on: of several changes, the newest holds."""

    tenant_id: str
    session_id: str
    at_ms: int
    details: SessionDetails

    @property
    def key(self) -> SessionKey:
        """The session that the details are of."""
        return SessionKey(self.tenant_id, self.session_id)


class _Details(msgspec.Struct, rename="camel", gc=False):
    title: str | UnsetType | None = UNSET
    speakers: list[str] | None = None
    planned_begin: str | None = None
    planned_end: str | None = None
    event_id: Id | None = None
    event_title: str | UnsetType | None = UNSET


class _Described(msgspec.Struct, rename="camel", gc=False):
    session_id: Id


_details: Final = msgspec.json.Decoder(_Details).decode
_described: Final = msgspec.json.Decoder(_Described).decode


def decode_details(body: bytes) -> SessionDetails:
    """Read the details of a session; raise `ValueError` with the reason if they are invalid.

    Spaces around a text are removed, and a blank title is none.
    """
    try:
        found = _details(body)
    except RecursionError:
        raise ValueError("the body is nested too deep") from None
    if found.title is UNSET:
        raise ValueError("title is missing: it is a text or null")
    event_title = found.event_title
    begin_ms = _planned("plannedBegin", found.planned_begin)
    end_ms = _planned("plannedEnd", found.planned_end)
    if begin_ms is not None and end_ms is not None and begin_ms >= end_ms:
        raise ValueError("plannedEnd must be after plannedBegin")
    return SessionDetails(
        _title("title", found.title),
        _speakers(found.speakers or []),
        begin_ms,
        end_ms,
        _event_id(found.event_id),
        UNSET if event_title is UNSET else _title("eventTitle", event_title),
    )


def decode_session_info(body: bytes) -> tuple[str, SessionDetails]:
    """Read `platform.events.session.info.v1`: the session and its details.

    Raise `InvalidEvent` or msgspec's errors for what is invalid.
    """
    session_id = _described(body).session_id
    if "\0" in session_id:
        raise InvalidEvent("nul_in_id")
    try:
        details = decode_details(body)
    except msgspec.ValidationError:  # its reason may be an unusable id, which is optional
        raise
    except ValueError:
        raise InvalidEvent("wrong_shape") from None
    if details.event_id in (session_id, PLACEHOLDER_EVENT_ID):
        details = msgspec.structs.replace(details, event_id=None)
    return session_id, details


def _title(name: str, text: str | None) -> str | None:
    return None if text is None else _text(name, text, MAX_TITLE_CHARS) or None


def _speakers(given: list[str]) -> tuple[str, ...]:
    if len(given) > MAX_SPEAKERS:
        raise ValueError(f"speakers are at most {MAX_SPEAKERS}")
    speakers = tuple(_text("a speaker", text, MAX_SPEAKER_CHARS) for text in given)
    if not all(speakers):
        raise ValueError("a speaker has a name")
    return speakers


def _text(name: str, text: str, max_chars: int) -> str:
    if NOT_PLAIN.search(text):
        raise ValueError(f"{name} must be one line without control characters")
    text = text.strip()
    if len(text) > max_chars:
        raise ValueError(f"{name} has at most {max_chars} characters")
    return text


def _planned(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        ms = milliseconds(text)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None
    if not 0 <= ms < _END_OF_TIME_MS:
        raise ValueError(f"{name} must be after the year 1969")
    return ms


def _event_id(event_id: str | None) -> str | None:
    if event_id is not None and "\0" in event_id:
        raise msgspec.ValidationError("eventId must not have NUL")
    return event_id
