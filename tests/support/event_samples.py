"""Events as producers send them, for every test that reads events.

`INVALID_EVENTS`: bodies that must be refused, with the reason. `UNUSABLE_OPTIONAL_KEYS`: bodies of
which one key must be ignored. Bounds are the defaults (65536 bytes).
"""

import gzip
import json
from copy import deepcopy
from typing import Any, Final, NamedTuple

CHAT: Final = "platform.events.chat.message.v1"
VOTE: Final = "platform.events.poll.vote.v1"
CLOSED: Final = "platform.events.poll.closed.v1"
REACTION: Final = "platform.events.live.reaction.v1"
LIVE: Final = "platform.events.live.sync.v1"
SYNC: Final = "sync-events"
CHAT_SWITCH: Final = "platform.sessions.chat.v1"
SESSION_INFO: Final = "platform.events.session.info.v1"
EVENT_NAMES: Final = (CHAT, VOTE, CLOSED, REACTION, LIVE, SYNC, CHAT_SWITCH, SESSION_INFO)
COMMANDS: Final = "conductor:commands"
SENT: Final = "conductor:sent"
POLICY: Final = "conductor:policy"
OWN_NAMES: Final = (COMMANDS, SENT, POLICY)
REPORTS_STREAM: Final = "platform.agent.intervention-outcomes.v1"
REPORTS_CHANNEL: Final = "agent.intervention-outcomes"
STREAM_NAMES: Final = (*EVENT_NAMES, REPORTS_STREAM, *OWN_NAMES)
CHANNEL_NAMES: Final = (*EVENT_NAMES, REPORTS_CHANNEL)

MAX_BYTES: Final = 65536

Json = dict[str, Any]


class Shape(NamedTuple):
    """A valid body, the paths of its ids, and the required ones among them."""

    label: str
    name: str
    body: Json
    ids: tuple[str, ...]
    required: tuple[str, ...]


_MESSAGE: Final[Json] = {"id": "m1", "text": "hello", "timestamp": "2026-01-04T12:00:00.000Z"}
_S: Final[Json] = {"sessionId": "s1", "eventId": "e1"}

SHAPES: Final = (
    Shape(
        "chat by authorId",
        CHAT,
        _S | {"message": _MESSAGE | {"authorId": "u1"}},
        ("sessionId", "eventId", "message.id", "message.authorId"),
        ("sessionId", "message"),
    ),
    Shape(
        "chat by author",
        CHAT,
        _S | {"message": _MESSAGE | {"author": {"id": "u1", "firstName": "Ada"}}},
        ("message.author.id",),
        (),
    ),
    Shape("chat by userId", CHAT, _S | {"message": _MESSAGE, "userId": "u1"}, ("userId",), ()),
    Shape(
        "vote",
        VOTE,
        _S | {"pollId": "p1", "optionId": "o1", "userId": "u1"},
        ("sessionId", "eventId", "pollId", "userId"),
        ("sessionId", "pollId"),
    ),
    Shape(
        "flat close",
        CLOSED,
        _S | {"pollId": "p1"},
        ("sessionId", "eventId", "pollId"),
        ("pollId",),
    ),
    Shape(
        "nested close",
        CLOSED,
        {"poll": {"id": "p1", "sessionId": "s1", "options": [{"id": "o1", "voteCount": 2}]}},
        ("poll.id", "poll.sessionId"),
        ("poll.id",),
    ),
    Shape(
        "reaction",
        REACTION,
        {"sessionId": "s1", "userId": "u1", "emoji": "🔥"},
        ("sessionId", "userId"),
        ("sessionId",),
    ),
    Shape(
        "reaction mirror",
        SYNC,
        _S | {"type": "reaction", "userId": "u1"},
        ("sessionId", "eventId", "userId"),
        ("type", "sessionId"),
    ),
    Shape(
        "join",
        LIVE,
        _S | {"type": "user_join", "userId": "u1"},
        ("sessionId", "eventId", "userId"),
        ("type", "sessionId", "userId"),
    ),
    Shape(
        "leave",
        SYNC,
        _S | {"type": "user_leave", "userId": "u1"},
        ("sessionId", "eventId", "userId"),
        ("type", "sessionId", "userId"),
    ),
    Shape(
        "chat mirror",
        SYNC,
        _S | {"type": "message_created", "payload": _MESSAGE | {"authorId": "u1"}},
        ("sessionId", "eventId", "payload.id", "payload.authorId"),
        ("type", "sessionId", "payload"),
    ),
    Shape(
        "chat switch",
        CHAT_SWITCH,
        _S | {"chatOpen": False},
        ("sessionId", "eventId"),
        ("sessionId", "chatOpen"),
    ),
)

# Invalid ids as JSON text, each with the reason that it is refused for.
_BAD_IDS: Final[tuple[tuple[str, bytes, str], ...]] = (
    ("empty", b'""', "wrong_shape"),
    ("256 characters", b'"' + b"x" * 256 + b'"', "wrong_shape"),
    ("256 emoji", '"{}"'.format("😀" * 256).encode(), "wrong_shape"),
    ("number", b"5", "wrong_shape"),
    ("fraction", b"0.5", "wrong_shape"),
    ("overflowing integer", b"9" * 400, "wrong_shape"),
    ("overflowing exponent", b"1e999", "wrong_shape"),
    ("boolean", b"true", "wrong_shape"),
    ("array", b'["s1"]', "wrong_shape"),
    ("object", b'{"id":"s1"}', "wrong_shape"),
    ("escaped NUL", rb'"a\u0000b"', "nul_in_id"),
    ("raw NUL", b'"a\0b"', "not_json"),
    ("raw line feed", b'"a\nb"', "not_json"),
    ("escaped high surrogate", rb'"\ud800"', "not_json"),
    ("escaped low surrogate", rb'"\udc00x"', "not_json"),
    ("swapped surrogates", rb'"\ude00\ud83d"', "not_json"),
    ("raw surrogate", b'"\xed\xa0\x80"', "not_utf8"),
    ("Latin-1", b'"caf\xe9"', "not_utf8"),
    ("overlong slash", b'"\xc0\xaf"', "not_utf8"),
    ("NaN", b"NaN", "not_json"),
    ("Infinity", b"-Infinity", "not_json"),
    ("unquoted", b"s1", "not_json"),
)

# The same for a field that no decoder reads.
_BAD_EXTRAS: Final[tuple[tuple[str, bytes, str], ...]] = (
    ("NaN", b"NaN", "not_json"),
    ("Infinity", b"Infinity", "not_json"),
    ("negative infinity", b"-Infinity", "not_json"),
    ("undefined", b"undefined", "not_json"),
    ("single quotes", b"'hello'", "not_json"),
    ("leading zero", b"01", "not_json"),
    ("unknown escape", rb'"\x41"', "not_json"),
    ("half an escape", rb'"\u00"', "not_json"),
    ("open string", b'"hello', "not_json"),
    ("raw NUL", b'"\0"', "not_json"),
    ("escaped surrogate", rb'"see \ud83d"', "not_json"),
    ("raw surrogate", b'"\xed\xa0\xbd"', "not_utf8"),
    ("Latin-1", b'"\xe9"', "not_utf8"),
    ("30,000 arrays deep", b"[" * 30_000 + b"]" * 30_000, "too_deep"),
    ("10,000 objects deep", b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "too_deep"),
    ("60,000 open arrays", b"[" * 60_000, "too_deep"),
    ("100,000 deep", b"[" * 100_000 + b"]" * 100_000, "too_large"),
)

# Bodies that are invalid under every name.
_BAD_BODIES: Final[tuple[tuple[str, bytes, str], ...]] = (
    ("nothing", b"", "not_json"),
    ("white space", b" \r\n\t", "not_json"),
    ("text", b"hello", "not_json"),
    ("open brace", b"{", "not_json"),
    ("closing brace", b"}", "not_json"),
    ("trailing comma", b'{"sessionId":"s1",}', "not_json"),
    ("byte order mark", b'\xef\xbb\xbf{"sessionId":"s1"}', "not_json"),
    ("UTF-16", '{"sessionId":"s1"}'.encode("utf-16"), "not_utf8"),
    ("gzip", gzip.compress(b'{"sessionId":"s1"}', mtime=0), "not_utf8"),
    ("NUL bytes", bytes(64), "not_json"),
    ("null", b"null", "wrong_shape"),
    ("true", b"true", "wrong_shape"),
    ("number", b"1767528000003", "wrong_shape"),
    ("string", b'"sessionId"', "wrong_shape"),
    ("JSON in a string", json.dumps('{"sessionId":"s1"}').encode(), "wrong_shape"),
    ("empty array", b"[]", "wrong_shape"),
    ("array", b'[{"sessionId":"s1"}]', "wrong_shape"),
    ("60,000 open arrays", b"[" * 60_000, "too_deep"),
    ("a million spaces", b" " * 1_000_000, "too_large"),
)

_NOON: Final = "2026-01-04T12:00:00Z"

_PLACEHOLDER: Final = "\x1ahole\x1a"


def with_value(body: Json, path: str, value: bytes) -> bytes:
    """Write a body as JSON, with raw bytes in the place of one value."""
    copy, place, key = _copy_and_locate(body, path)
    place[key] = _PLACEHOLDER
    return json.dumps(copy).encode().replace(json.dumps(_PLACEHOLDER).encode(), value)


def without(body: Json, path: str) -> bytes:
    """Write a body as JSON, with one key left out."""
    copy, place, key = _copy_and_locate(body, path)
    del place[key]
    return json.dumps(copy).encode()


def _copy_and_locate(body: Json, path: str) -> tuple[Json, Json, str]:
    copy: Json = deepcopy(body)
    *parents, last = path.split(".")
    place = copy
    for key in parents:
        place = place[key]
    return copy, place, last


def padded(body: Json, size_bytes: int) -> bytes:
    """Write a body as JSON of exactly this size, with an unused text as padding."""
    empty = json.dumps(body | {"padding": ""}).encode()
    return json.dumps(body | {"padding": "x" * (size_bytes - len(empty))}).encode()


# Ids without which an event still counts, but for the user of a join or a leave.
_OPTIONAL: Final = ("eventId", "userId", "id", "authorId")
_REQUIRED_ANYWAY: Final = ("poll.id",)


def is_optional(shape: Shape, path: str) -> bool:
    """Check whether an unusable id counts as absent."""
    name = path.rpartition(".")[2]
    return name in _OPTIONAL and path not in (*shape.required, *_REQUIRED_ANYWAY)


def _reason(shape: Shape, path: str, reason: str) -> str:
    """Return the reason for an unusable id: the user of a join is missing without it."""
    is_user = path == "userId" and reason in ("wrong_shape", "nul_in_id")
    return "missing_id" if is_user and path in shape.required else reason


def _bad_values() -> list[tuple[str, str, bytes, str]]:
    ids = [
        (
            f"{shape.label}: {path} is {label}",
            shape.name,
            with_value(shape.body, path, raw),
            _reason(shape, path, reason),
        )
        for shape in SHAPES
        for path in shape.ids
        for label, raw, reason in _BAD_IDS
        if not (is_optional(shape, path) and reason in ("wrong_shape", "nul_in_id"))
    ]
    extras = [
        (f"{shape.label}: extra is {label}", shape.name, with_value(shape.body, "z", raw), reason)
        for shape in SHAPES
        for label, raw, reason in _BAD_EXTRAS
    ]
    return ids + extras


def _deep_ids() -> list[tuple[str, str, bytes, str]]:
    """Nest where an id stands."""
    deep = b"[" * 30_000 + b"]" * 30_000
    return [
        (
            f"{shape.label}: {path} is 30,000 deep",
            shape.name,
            with_value(shape.body, path, deep),
            "too_deep",
        )
        for shape in SHAPES
        for path in shape.ids
    ]


def _bad_shapes() -> list[tuple[str, str, bytes, str]]:
    missing = [
        (f"{shape.label}: no {path}", shape.name, without(shape.body, path), "missing_id")
        for shape in SHAPES
        for path in shape.required
    ]
    cut = [
        (f"{shape.label}: cut", shape.name, json.dumps(shape.body).encode()[:-1], "not_json")
        for shape in SHAPES
    ]
    large = [
        (f"{shape.label}: large", shape.name, padded(shape.body, MAX_BYTES + 1), "too_large")
        for shape in SHAPES
    ]
    return missing + cut + large


def _bad_bodies() -> list[tuple[str, str, bytes, str]]:
    return [
        (f"{name}: {label}", name, body, reason)
        for name in EVENT_NAMES
        for label, body, reason in _BAD_BODIES
    ]


# (label, Redis name, body, reason)
INVALID_EVENTS: Final[list[tuple[str, str, bytes, str]]] = [
    *_bad_values(),
    *_deep_ids(),
    *_bad_shapes(),
    *_bad_bodies(),
    ("chat: message is text", CHAT, b'{"sessionId":"s1","message":"hello"}', "wrong_shape"),
    ("chat: message is null", CHAT, b'{"sessionId":"s1","message":null}', "wrong_shape"),
    ("chat: null session", CHAT, b'{"sessionId":null,"message":{}}', "wrong_shape"),
    ("chat: keys in capitals", CHAT, b'{"SESSIONID":"s1","MESSAGE":{}}', "missing_id"),
    ("close: poll is text", CLOSED, b'{"sessionId":"s1","poll":"p1"}', "wrong_shape"),
    ("close: session alone", CLOSED, b'{"sessionId":"s1"}', "missing_id"),
    ("reaction: empty object", REACTION, b"{}", "missing_id"),
    ("reaction: last key wins", REACTION, b'{"sessionId":"s1","sessionId":""}', "wrong_shape"),
    ("reaction: two documents", REACTION, b'{"sessionId":"s1"}{"sessionId":"s1"}', "not_json"),
    ("chat switch: text", CHAT_SWITCH, b'{"sessionId":"s1","chatOpen":"false"}', "wrong_shape"),
    ("chat switch: null", CHAT_SWITCH, b'{"sessionId":"s1","chatOpen":null}', "wrong_shape"),
    ("chat switch: number", CHAT_SWITCH, b'{"sessionId":"s1","chatOpen":0}', "wrong_shape"),
    ("session info: no title", SESSION_INFO, b'{"sessionId":"s1"}', "wrong_shape"),
    ("session info: no session", SESSION_INFO, b'{"title":"Keynote"}', "missing_id"),
    ("session info: empty id", SESSION_INFO, b'{"sessionId":"","title":"x"}', "wrong_shape"),
    ("session info: NUL", SESSION_INFO, rb'{"sessionId":"s\u0000","title":"x"}', "nul_in_id"),
    ("session info: number", SESSION_INFO, b'{"sessionId":"s1","title":5}', "wrong_shape"),
    ("session info: line feed", SESSION_INFO, rb'{"sessionId":"s1","title":"a\nb"}', "wrong_shape"),
    (
        "session info: ends before it begins",
        SESSION_INFO,
        json.dumps(_S | {"title": "a", "plannedBegin": _NOON, "plannedEnd": _NOON}).encode(),
        "wrong_shape",
    ),
    (
        "session info: long",
        SESSION_INFO,
        b'{"sessionId":"s1","title":"%s"}' % (201 * b"x"),
        "wrong_shape",
    ),
    ("sync: empty object", SYNC, b"{}", "missing_id"),
    ("sync: action alone", SYNC, b'{"action":"UPDATED","payload":{}}', "missing_id"),
    ("sync: unknown type", SYNC, b'{"type":"user_jion","sessionId":"s1"}', "unknown_type"),
    ("sync: empty type", SYNC, b'{"type":"","sessionId":"s1"}', "unknown_type"),
    ("sync: type of others", LIVE, b'{"type":"poll_closed","sessionId":"s1"}', "unknown_type"),
    ("sync: type is a number", SYNC, b'{"type":1,"sessionId":"s1"}', "wrong_shape"),
    (
        "sync: payload is text",
        SYNC,
        b'{"type":"message_created","sessionId":"s1","payload":"hello"}',
        "wrong_shape",
    ),
    (
        "sync: join of nobody",
        SYNC,
        b'{"type":"user_join","sessionId":"s1","userId":null}',
        "missing_id",
    ),
    (
        "sync: leave, odd user, with resource",
        SYNC,
        b'{"type":"user_leave","sessionId":"s1","userId":7,"resource":"USER"}',
        "missing_id",
    ),
]


# (label, Redis name, body, the key that is ignored)
UNUSABLE_OPTIONAL_KEYS: Final[list[tuple[str, str, bytes, str]]] = [
    (f"{shape.label}: {path} is {label}", shape.name, with_value(shape.body, path, raw), path)
    for shape in SHAPES
    for path in shape.ids
    if is_optional(shape, path)
    for label, raw, reason in _BAD_IDS
    if reason in ("wrong_shape", "nul_in_id")
] + [
    (
        "chat: author is text",
        CHAT,
        b'{"sessionId":"s1","message":{"author":"u1"}}',
        "message.author",
    )
]
