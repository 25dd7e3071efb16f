"""Events that are unusual but valid: each must be counted or skipped without an error."""

import json
from typing import Final

from tests.support.event_samples import (
    CHAT,
    CLOSED,
    LIVE,
    MAX_BYTES,
    REACTION,
    SHAPES,
    SYNC,
    VOTE,
    padded,
    with_value,
)


def _odd_ids() -> list[tuple[str, str, bytes]]:
    odd = (
        ("255 characters", json.dumps("x" * 255).encode()),
        ("255 emoji", '"{}"'.format("😀" * 255).encode()),
        ("escaped emoji", rb'"\ud83d\ude00"'),
        ("spaces", b'"  "'),
        ("an escaped line feed", rb'"a\nb"'),
        ("an escaped backslash before u0000", rb'"\\u0000"'),
        ("SQL", b'"\'; DROP TABLE engagement_metrics; --"'),
        ("markup", b'"[red]<script>alert(1)</script>"'),
        ("right-to-left", '"\u202eabc"'.encode()),
    )
    return [
        (f"{shape.label}: {path} is {label}", shape.name, with_value(shape.body, path, raw))
        for shape in SHAPES
        for path in shape.ids
        for label, raw in odd
    ]


def _odd_extras() -> list[tuple[str, str, bytes]]:
    odd = (
        ("huge integer", b"9" * 5000),
        ("huge exponent", b"-1e999999"),
        ("an escaped NUL", rb'"\u0000"'),
        ("500 deep", b"[" * 500 + b"]" * 500),
        ("duplicate keys", b'{"a":1,"a":[2]}'),
        ("a long text", b'"' + b"x" * 60_000 + b'"'),
    )
    return [
        (f"{shape.label}: extra is {label}", shape.name, with_value(shape.body, "z", raw))
        for shape in SHAPES
        for label, raw in odd
    ]


def _odd_bodies() -> list[tuple[str, str, bytes]]:
    indented = [
        (f"{shape.label}: indented", shape.name, json.dumps(shape.body, indent="\t").encode())
        for shape in SHAPES
    ]
    surrounded = [
        (f"{shape.label}: spaced", shape.name, b"\r\n " + json.dumps(shape.body).encode() + b"\n")
        for shape in SHAPES
    ]
    large = [
        (f"{shape.label}: as large as may be", shape.name, padded(shape.body, MAX_BYTES))
        for shape in SHAPES
    ]
    return indented + surrounded + large


# (label, Redis name, body)
UNUSUAL_EVENTS: Final[list[tuple[str, str, bytes]]] = [
    *_odd_ids(),
    *_odd_extras(),
    *_odd_bodies(),
    ("chat: message says nothing", CHAT, b'{"sessionId":"s1","message":{}}'),
    ("chat: nulls", CHAT, b'{"sessionId":"s1","eventId":null,"message":{"author":null}}'),
    ("vote: nobody's", VOTE, b'{"sessionId":"s1","pollId":"p1","userId":null}'),
    ("close: of no session", CLOSED, b'{"poll":{"id":"p1"}}'),
    ("close: of nothing", CLOSED, b"{}"),
    ("close: null poll", CLOSED, b'{"sessionId":"s1","pollId":"p1","poll":null}'),
    ("reaction: last key wins", REACTION, b'{"sessionId":"s0","sessionId":"s1"}'),
    ("reaction: escaped key", REACTION, rb'{"session\u0049d":"s1"}'),
    ("sync: nobody's reaction", SYNC, b'{"type":"reaction","sessionId":"s1"}'),
    ("sync: empty message", SYNC, b'{"type":"message_created","sessionId":"s1","payload":{}}'),
    ("sync: typing", SYNC, b'{"type":"typing","sessionId":"s1","payload":7}'),
    ("sync: deleted", SYNC, b'{"type":"message_deleted","sessionId":"s1","payload":null}'),
    ("others: a poll", SYNC, b'{"resource":"POLL","action":"UPDATED","payload":{"id":5}}'),
    ("others: payload is text", SYNC, b'{"resource":"POLL","action":"UPDATED","payload":"x"}'),
    ("others: everything odd", SYNC, b'{"resource":1,"action":[],"payload":null,"userId":{}}'),
    ("others: odd session", SYNC, b'{"resource":"DIRECT_MESSAGE","sessionId":5,"payload":{}}'),
    ("others: odd type", SYNC, b'{"resource":"QUESTION","type":{},"payload":{}}'),
    ("others: nulls", LIVE, b'{"resource":"POLL","type":null,"sessionId":null}'),
    ("others: typed", SYNC, b'{"resource":"POLL","type":"poll_closed","payload":{}}'),
]
