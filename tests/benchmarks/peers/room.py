"""One session as it is usually written by hand: deques of what happened, counted at each tick.

Shared by the peers, so that what differs between them is the machinery around it.
"""

import json
from collections import Counter, deque
from math import log
from typing import Any, Final

WINDOW_MS: Final = 60_000
COLUMNS: Final = (
    *("time", "tenant_id", "session_id", "event_id", "engagement_score", "category"),
    *("chat_msgs_per_min", "poll_participation", "active_users", "total_users"),
    *("reactions_per_min", "user_leave_rate"),
)
INSERT: Final = (
    f"INSERT INTO engagement_metrics ({', '.join(COLUMNS)}) "
    f"VALUES (to_timestamp(%s), {', '.join(['%s'] * (len(COLUMNS) - 1))}) ON CONFLICT DO NOTHING"
)
CHANNEL: Final = "engagement:update"
LEVELS: Final = ((0.8, "VERY_HIGH"), (0.6, "HIGH"), (0.4, "MODERATE"), (0.2, "LOW"))

Body = dict[str, Any]
Row = tuple[Any, ...]


class Room:
    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self._event_id = session_id
        self._chats: deque[int] = deque()
        self._reactions: deque[int] = deque()
        self._activity: deque[tuple[int, str]] = deque()
        self._leavers: deque[tuple[int, str]] = deque()
        self._messages: deque[tuple[int, str]] = deque()
        self._known: set[str] = set()
        self._connected: Counter[str] = Counter()
        self._poll: tuple[str, set[str]] = ("", set())

    def add(self, name: str, body: Body, at_ms: int) -> None:
        user: str = body.get("userId", "")
        if name.endswith("chat.message.v1"):
            message = body["message"]
            user = message.get("authorId") or user
            if message["id"] in self._known:
                return
            self._known.add(message["id"])
            self._messages.append((at_ms, message["id"]))
            self._chats.append(at_ms)
        elif name.endswith("poll.vote.v1"):
            if self._poll[0] != body["pollId"]:
                self._poll = body["pollId"], set()
            self._poll[1].add(user)
        elif name.endswith("reaction.v1"):
            self._reactions.append(at_ms)
        elif body.get("type") == "user_join":
            self._connected[user] += 1
        elif body.get("type") == "user_leave":
            self._leave(user, at_ms)
            return
        self._activity.append((at_ms, user))
        self._event_id = body.get("eventId") or self._event_id

    def row(self, at_ms: int) -> Row:
        since_ms = at_ms - WINDOW_MS
        for times in (self._chats, self._reactions):
            while times and times[0] < since_ms:
                times.popleft()
        for pairs in (self._activity, self._leavers):
            while pairs and pairs[0][0] < since_ms:
                pairs.popleft()
        while self._messages and self._messages[0][0] < since_ms:
            self._known.discard(self._messages.popleft()[1])
        active = {user for _, user in self._activity}
        total = len(active | self._connected.keys())
        left = len({user for _, user in self._leavers} - self._connected.keys())
        poll = len(self._poll[1]) / max(len(self._poll[1]), len(self._connected), 1)
        chats, reactions = len(self._chats), len(self._reactions)
        leave_rate = left / (total + left) if left else 0.0
        share = len(active) / total if total else 0.0
        score = 0.3 * min(1, log(chats + 1) / log(21)) + 0.25 * poll + 0.25 * share
        score += 0.1 * min(1, log(reactions + 1) / log(11)) - 0.1 * leave_rate
        score = min(1.0, max(0.0, score))
        level = next((name for least, name in LEVELS if score >= least), "VERY_LOW")
        who = (at_ms / 1000, "default", self._session_id, self._event_id)
        return (*who, score, level, chats, poll, len(active), total, reactions, leave_rate)

    def _leave(self, user: str, at_ms: int) -> None:
        if self._connected[user] > 1:
            self._connected[user] -= 1
        elif self._connected.pop(user, 0):
            self._leavers.append((at_ms, user))


def message(row: Row) -> str:
    """Say a row as the update that is published."""
    signals = dict(zip(COLUMNS[6:], row[6:], strict=True))
    names = ("timestamp", "tenantId", "sessionId", "eventId", "score", "category")
    return json.dumps(dict(zip(names, row[:6], strict=True)) | {"signals": signals})


def say(event: str, **keys: int) -> None:
    """Log a line, so that the same harness can watch it."""
    print(json.dumps({"event": event} | keys), flush=True)
