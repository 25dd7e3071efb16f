"""The events of a platform, decoded from the bodies of its event names.

Wire structs name only the fields used; everything else in a body is skipped by the parser.
Source of names, shapes and of the facts about real producers: the contract, section 1.
"""

import re
from collections import Counter
from collections.abc import Callable
from typing import Final, TypeAlias, final, get_args

import msgspec

from conductor_actors.domain.commands import QuietSet, decode_command
from conductor_actors.domain.conductor.directives import Directive, decode_policy
from conductor_actors.domain.conductor.reports import decode_reported, decode_sent
from conductor_actors.domain.conductor.requests import ConductRequest
from conductor_actors.domain.identity import COMMANDS, POLICY, SENT, Id
from conductor_actors.domain.optional_keys import remove_unusable_keys
from conductor_actors.domain.session_titles import SESSION_INFO, decode_session_info
from conductor_actors.errors import InvalidEvent

# The parser's own limit depends on how deep its caller's stack is: a replay might disagree.
MAX_NESTING: Final = 512

# What the decoder of a body returns is right if it is UTF-8, no longer than this, and has no NUL as
# an escape. For all others there is `decode`, which also knows why a body is refused.
MAX_PLAIN_BYTES: Final = MAX_NESTING
NUL: Final = b"\\u0000"
BACKSLASH: Final = ord("\\")  # found by memchr; as bytes of length one, it takes six times as long
_STRINGS_AND_BRACKETS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"?|[][{}]', re.DOTALL)


@final
class ChatMessage(msgspec.Struct, frozen=True, gc=False):
    """A chat message. A repeated `message_id` is a repeat; one without an id always counts."""

    at_ms: int
    event_id: str | None
    user_id: str | None
    message_id: str | None


@final
class PollVote(msgspec.Struct, frozen=True, gc=False):
    """A vote in a poll; a vote without a user counts as one more voter."""

    at_ms: int
    event_id: str | None
    user_id: str | None
    poll_id: str


@final
class PollClosed(msgspec.Struct, frozen=True, gc=False):
    """The end of a poll."""

    at_ms: int
    event_id: str | None
    poll_id: str


@final
class Reaction(msgspec.Struct, frozen=True, gc=False):
    """A reaction."""

    at_ms: int
    event_id: str | None
    user_id: str | None


@final
class UserJoined(msgspec.Struct, frozen=True, gc=False):
    """A new connection of a user."""

    at_ms: int
    event_id: str | None
    user_id: str


@final
class UserLeft(msgspec.Struct, frozen=True, gc=False):
    """The end of a connection of a user."""

    at_ms: int
    event_id: str | None
    user_id: str


@final
class ChatSwitched(msgspec.Struct, frozen=True, gc=False):
    """The chat of a session was opened or closed."""

    at_ms: int
    event_id: str | None
    is_open: bool


# What is arranged for a session, or for all of a tenant: no activity.
Arrangement: TypeAlias = ChatSwitched | QuietSet | ConductRequest | Directive
COMMANDED: Final = (QuietSet, *get_args(ConductRequest))
Event: TypeAlias = (
    ChatMessage | PollVote | PollClosed | Reaction | UserJoined | UserLeft | Arrangement
)

# The session and the event of a body; None if it is not counted.
Decoded: TypeAlias = tuple[str, Event] | None
Decoder: TypeAlias = Callable[[bytes, int], Decoded]


class _Author(msgspec.Struct, gc=False):
    id: Id | None = None


class _Message(msgspec.Struct, gc=False):
    id: Id | None = None
    authorId: Id | None = None
    author: _Author | None = None


class _Chat(msgspec.Struct, gc=False):
    sessionId: Id
    message: _Message
    eventId: Id | None = None
    userId: Id | None = None


class _Vote(msgspec.Struct, gc=False):
    sessionId: Id
    pollId: Id
    eventId: Id | None = None
    userId: Id | None = None


class _Poll(msgspec.Struct, gc=False):
    id: Id | None = None
    sessionId: Id | None = None


class _Closed(msgspec.Struct, gc=False):
    poll: _Poll | None = None
    sessionId: Id | None = None
    pollId: Id | None = None
    eventId: Id | None = None


class _Reaction(msgspec.Struct, gc=False):
    sessionId: Id
    eventId: Id | None = None
    userId: Id | None = None


class _ChatSwitch(msgspec.Struct, gc=False):
    sessionId: Id
    is_open: bool = msgspec.field(name="chatOpen")
    eventId: Id | None = None


_ABSENT: Final = msgspec.Raw(b"null")  # a missing key means the same as null


class _Sync(msgspec.Struct, gc=False):
    type: str | None = None
    sessionId: Id | None = None
    eventId: Id | None = None
    userId: Id | None = None
    payload: msgspec.Raw = _ABSENT  # its shape depends on the type
    resource: msgspec.Raw = _ABSENT


class _SyncAddress(msgspec.Struct, gc=False):
    """The keys of a sync event that decide whether it is one of ours."""

    type: msgspec.Raw = _ABSENT
    sessionId: msgspec.Raw = _ABSENT
    resource: msgspec.Raw = _ABSENT


_chat: Final = msgspec.json.Decoder(_Chat).decode
_vote: Final = msgspec.json.Decoder(_Vote).decode
_closed: Final = msgspec.json.Decoder(_Closed).decode
_reaction: Final = msgspec.json.Decoder(_Reaction).decode
_chat_switch: Final = msgspec.json.Decoder(_ChatSwitch).decode
_sync: Final = msgspec.json.Decoder(_Sync).decode
_sync_address: Final = msgspec.json.Decoder(_SyncAddress).decode
_payload: Final = msgspec.json.Decoder(_Message).decode


def decode_chat(body: bytes, at_ms: int) -> Decoded:
    """Read `platform.events.chat.message.v1`."""
    chat = _chat(body)
    message = chat.message
    user_id = message.authorId
    if user_id is None:
        user_id = _author(message, chat.userId)
    return chat.sessionId, ChatMessage(at_ms, chat.eventId, user_id, message.id)


def decode_vote(body: bytes, at_ms: int) -> Decoded:
    """Read `platform.events.poll.vote.v1`."""
    vote = _vote(body)
    return vote.sessionId, PollVote(at_ms, vote.eventId, vote.userId, vote.pollId)


def decode_closed(body: bytes, at_ms: int) -> Decoded:
    """Read `platform.events.poll.closed.v1`, nested or flat; without a session it is skipped."""
    closed = _closed(body)
    poll = closed.poll
    session_id = closed.sessionId or (poll.sessionId if poll else None)
    if session_id is None:
        return None
    poll_id = poll.id if poll else closed.pollId
    if poll_id is None:
        raise InvalidEvent("missing_id")
    return session_id, PollClosed(at_ms, closed.eventId, poll_id)


def decode_reaction(body: bytes, at_ms: int) -> Decoded:
    """Read `platform.events.live.reaction.v1`."""
    reaction = _reaction(body)
    return reaction.sessionId, Reaction(at_ms, reaction.eventId, reaction.userId)


def decode_chat_switch(body: bytes, at_ms: int) -> Decoded:
    """Read `platform.sessions.chat.v1`."""
    switch = _chat_switch(body)
    return switch.sessionId, ChatSwitched(at_ms, switch.eventId, switch.is_open)


def decode_title(body: bytes, _: int) -> Decoded:
    """Read `platform.events.session.info.v1`, which no score depends on."""
    decode_session_info(body)
    return None


def decode_sync(body: bytes, at_ms: int) -> Decoded:
    """Read `sync-events` and `platform.events.live.sync.v1`."""
    try:
        sync = _sync(body)
    except msgspec.ValidationError:
        address = _sync_address(body)
        if address.resource != _ABSENT and _ABSENT in (address.type, address.sessionId):
            return None
        raise
    if sync.type is None or sync.sessionId is None:
        if sync.resource != _ABSENT:
            return None  # a poll, a question or a direct message
        raise InvalidEvent("missing_id")
    return _sync_event(sync, sync.type, sync.sessionId, at_ms)


def _sync_event(sync: _Sync, kind: str, session_id: str, at_ms: int) -> Decoded:
    match kind:
        case "message_created" if sync.payload != _ABSENT:
            message = _payload(sync.payload)
            user_id = _author(message, sync.userId)
            return session_id, ChatMessage(at_ms, sync.eventId, user_id, message.id)
        case "reaction":
            return session_id, Reaction(at_ms, sync.eventId, sync.userId)
        case "user_join" if sync.userId is not None:
            return session_id, UserJoined(at_ms, sync.eventId, sync.userId)
        case "user_leave" if sync.userId is not None:
            return session_id, UserLeft(at_ms, sync.eventId, sync.userId)
        case "message_created" | "user_join" | "user_leave":
            raise InvalidEvent("missing_id")
        case "message_updated" | "message_deleted" | "presence_update" | "typing":
            if "\0" in session_id:
                raise InvalidEvent("nul_in_id")
            return None
        case _:
            raise InvalidEvent("unknown_type")


def _author(message: _Message, user_id: str | None) -> str | None:
    return message.authorId or (message.author.id if message.author else None) or user_id


# Unlike all others, these have one name as a stream and another one as a channel.
_REPORTS_STREAM: Final = "platform.agent.intervention-outcomes.v1"
REPORTS_CHANNEL: Final = "agent.intervention-outcomes"

DECODERS: Final[dict[str, Decoder]] = {
    "platform.events.chat.message.v1": decode_chat,
    "platform.events.poll.vote.v1": decode_vote,
    "platform.events.poll.closed.v1": decode_closed,
    "sync-events": decode_sync,
    "platform.events.live.sync.v1": decode_sync,
    "platform.events.live.reaction.v1": decode_reaction,
    "platform.sessions.chat.v1": decode_chat_switch,
    SESSION_INFO: decode_title,
    _REPORTS_STREAM: decode_reported,
    REPORTS_CHANNEL: decode_reported,
    COMMANDS: decode_command,
    SENT: decode_sent,
    POLICY: decode_policy,
}
# No score depends on what is lost of these.
UNSCORED_NAMES: Final = (SESSION_INFO, _REPORTS_STREAM, REPORTS_CHANNEL, SENT, POLICY)
# What this service writes: read from streams alone.
OWN_NAMES: Final = (COMMANDS, SENT, POLICY)
EVENT_STREAMS: Final = tuple(name for name in DECODERS if name != REPORTS_CHANNEL)
EVENT_CHANNELS: Final = tuple(
    name for name in DECODERS if name not in (_REPORTS_STREAM, *OWN_NAMES)
)


def decode(
    decoder: Decoder, body: bytes, at_ms: int, max_bytes: int, ignored_keys: Counter[str]
) -> Decoded:
    """Read one body; raise `InvalidEvent` with the reason for anything that is no event.

    Reasons: `too_large`, `too_deep`, `not_utf8`, `not_json`, `wrong_shape`, `missing_id`,
    `nul_in_id`, `unknown_type`. An optional key that can't be used counts as absent, and in
    `ignored_keys`.
    """
    size = len(body)
    if size > max_bytes:
        raise InvalidEvent("too_large")
    if size > MAX_NESTING and _nesting(body) > MAX_NESTING:
        raise InvalidEvent("too_deep")
    try:
        if not body.isascii():
            body.decode()  # the parser does not look into strings it skips
        decoded = decoder(body, at_ms)
    except msgspec.ValidationError:
        return _decode_without_unusable_keys(decoder, body, at_ms, ignored_keys)
    except msgspec.DecodeError:
        raise InvalidEvent("not_json") from None
    except UnicodeDecodeError:
        raise InvalidEvent("not_utf8") from None
    if decoded is not None and BACKSLASH in body and NUL in body and _has_nul(decoded):
        return _decode_without_unusable_keys(decoder, body, at_ms, ignored_keys)
    return decoded


def _decode_without_unusable_keys(
    decoder: Decoder, body: bytes, at_ms: int, ignored_keys: Counter[str]
) -> Decoded:
    """Read a body without its optional keys that can't be used; raise if that is not enough."""
    try:
        usable, removed = remove_unusable_keys(body)
        decoded = decoder(usable, at_ms)
    except msgspec.ValidationError as error:
        missing = "missing required field" in str(error)
        raise InvalidEvent("missing_id" if missing else "wrong_shape") from None
    except msgspec.DecodeError:
        raise InvalidEvent("not_json") from None
    if decoded is not None and _has_nul(decoded):
        raise InvalidEvent("nul_in_id")
    ignored_keys.update(removed)
    return decoded


def _nesting(body: bytes) -> int:
    """Return how deep arrays and objects are nested."""
    if body.count(b"[") + body.count(b"{") <= MAX_NESTING:
        return 0  # the common case: too few brackets to be too deep
    depth = deepest = 0
    for token in _STRINGS_AND_BRACKETS.finditer(body):
        if token[0] in (b"[", b"{"):
            depth += 1
            deepest = max(deepest, depth)
        elif token[0] in (b"]", b"}"):
            depth -= 1
    return deepest


def _has_nul(decoded: tuple[str, Event]) -> bool:
    """Check for an id with a NUL, which no text column can hold. Only an escape can bring one."""
    session_id, event = decoded
    fields = (session_id, *msgspec.structs.astuple(event))
    return any(isinstance(field, str) and "\0" in field for field in fields)
