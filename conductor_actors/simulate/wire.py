"""What a platform sends about one session, as carelessly as real ones do.

Event ids are missing or placeholders, a message comes with a mirror that may overtake it or
comes twice, its author stands in one place or another, and much of it is not ours to count.
"""

from heapq import heappop, heappush
from random import Random
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from conductor_actors.instants import to_iso

CHAT: Final = "platform.events.chat.message.v1"
VOTE: Final = "platform.events.poll.vote.v1"
CLOSED: Final = "platform.events.poll.closed.v1"
REACTION: Final = "platform.events.live.reaction.v1"
LIVE: Final = "platform.events.live.sync.v1"
SYNC: Final = "sync-events"

DEFAULT_TENANT: Final = "default"  # whose names carry no prefix

_EVENT_ID: Final = "summer-summit-2026"
_EMOJI: Final = ("🔥", "👏", "❤️", "😂", "🎉", "👍")
_OPTIONS: Final = ("Data", "Design", "Operations")

Body = dict[str, Any]


class Person(NamedTuple):
    """Somebody in the audience; most have one device, some have two."""

    user_id: str
    name: str
    surname: str
    devices: int


class SimulatedPoll(NamedTuple):
    """A poll and those who have voted."""

    poll_id: str
    voters: set[Person]


class Sent(NamedTuple):
    """An event on its way, and when it arrives."""

    at_s: float
    number: int  # so that nothing after it is ever compared
    name: str
    body: bytes


class Wire:
    """Send events about one session; they arrive in the order of their times."""

    def __init__(self, session_id: str, tenant: str, chance: Random) -> None:
        self._session_id = session_id
        self._prefix = "" if tenant == DEFAULT_TENANT else f"{tenant}:"
        self._chance = chance
        self._under_way: list[Sent] = []
        self._count = 0

    def arrived(self, before_s: float) -> list[Sent]:
        """Remove and return what arrives before that time, in order."""
        arrived = []
        while self._under_way and self._under_way[0].at_s < before_s:
            arrived.append(heappop(self._under_way))
        return arrived

    def new_id(self) -> str:
        """Make up an id."""
        return str(UUID(int=self._chance.getrandbits(128), version=4))

    def presence(self, at_s: float, kind: str, person: Person) -> None:
        """Send a `user_join` or `user_leave` of one connection."""
        name = LIVE if self._odds(0.8) else SYNC
        self._send(at_s, name, {"type": kind, **self._address(), "userId": person.user_id})

    def chat(self, at_s: float, person: Person, text: str) -> None:
        """Send a message and its mirror; sometimes typing before it and second thoughts after."""
        message: Body = {"id": self.new_id(), "text": text, "timestamp": _iso(at_s)}
        claim = self._claim_author(message, person)
        chat_s, mirror_s = (0.0, 0.04) if self._odds(0.9) else (0.04, 0.0)
        chat = self._address() | {"message": message} | claim
        self._send(at_s + chat_s, CHAT, chat)
        if self._odds(0.03):  # at least once
            self._send(at_s + 1, CHAT, chat)
        mirror = {"resource": "MESSAGE", "action": "CREATED", "payload": message} | claim
        self._sync(at_s + mirror_s, "message_created", mirror)
        if self._odds(0.2):
            self._sync(at_s, "typing", {"userId": person.user_id})
        if self._odds(0.04):
            kind = self._chance.choice(("message_deleted", "message_updated"))
            self._sync(at_s + 4, kind, {"payload": {"id": message["id"]}})

    def reaction(self, at_s: float, person: Person) -> None:
        """Send a reaction under one of its two names, now and then without its user."""
        user = {"userId": person.user_id} if self._odds(0.9) else {}
        if self._odds(0.3):
            self._sync(at_s, "reaction", user)
            return
        emoji = self._chance.choice(_EMOJI)
        reaction = {"sessionId": self._session_id, "emoji": emoji, "timestamp": _iso(at_s)}
        self._send(at_s, REACTION, user | reaction)

    def vote(self, at_s: float, poll: SimulatedPoll, person: Person) -> None:
        """Send a vote, rarely an anonymous one."""
        user = {"userId": person.user_id} if self._odds(0.97) else {}
        choice = {"pollId": poll.poll_id, "optionId": f"option-{self._chance.randrange(3)}"}
        self._send(at_s, VOTE, user | choice | self._address() | {"voteTimestamp": _iso(at_s)})

    def poll_opened(self, at_s: float, poll: SimulatedPoll) -> None:
        """Send that a poll is open, which is not ours to count."""
        self.resource(at_s, "POLL", {"poll": self._poll(poll, is_active=True)})

    def poll_closed(self, at_s: float, poll: SimulatedPoll) -> None:
        """Send a poll's end, flat or nested, and its mirror."""
        nested = {"poll": self._poll(poll, is_active=False), "userVotedForOptionId": None}
        flat = self._address() | {"pollId": poll.poll_id}
        self._send(at_s, CLOSED, self._chance.choice((flat, nested)))
        self.resource(at_s, "POLL", nested)

    def resource(self, at_s: float, resource: str, payload: Body) -> None:
        """Send a change of something that is not ours to count."""
        self._send(at_s, SYNC, {"resource": resource, "action": "UPDATED", "payload": payload})

    def presence_update(self, at_s: float, person: Person) -> None:
        """Send that somebody is still there, which is not ours to count either."""
        self._sync(at_s, "presence_update", {"userId": person.user_id})

    def _claim_author(self, message: Body, person: Person) -> Body:
        """Put the author into the message, or return the keys that name it beside the message."""
        author = {"id": person.user_id, "firstName": person.name, "lastName": person.surname}
        match self._chance.choices(("full", "id", "author", "beside"), (80, 10, 7, 3))[0]:
            case "full":
                message |= {"authorId": person.user_id, "author": author}
            case "id":
                message["authorId"] = person.user_id
            case "author":
                message["author"] = author
            case _:
                return {"userId": person.user_id}
        return {}

    def _poll(self, poll: SimulatedPoll, *, is_active: bool) -> Body:
        options = [
            {"id": f"option-{n}", "text": text, "voteCount": len(poll.voters) // len(_OPTIONS)}
            for n, text in enumerate(_OPTIONS)
        ]
        return {
            "id": poll.poll_id,
            "question": "Which track next?",
            "isActive": is_active,
            "sessionId": self._session_id,
            "options": options,
            "totalVotes": len(poll.voters),
        }

    def _sync(self, at_s: float, kind: str, more: Body) -> None:
        self._send(at_s, SYNC, {"type": kind} | self._address() | more)

    def _send(self, at_s: float, name: str, body: Body) -> None:
        self._count += 1
        sent = Sent(at_s, self._count, self._prefix + name, msgspec.json.encode(body))
        heappush(self._under_way, sent)

    def _address(self) -> Body:
        event_ids = (_EVENT_ID, "unknown", self._session_id, None)
        event_id = self._chance.choices(event_ids, (70, 10, 10, 10))[0]
        address = {"sessionId": self._session_id}
        return address | {"eventId": event_id} if event_id else address

    def _odds(self, share: float) -> bool:
        return self._chance.random() < share


def _iso(at_s: float) -> str:
    return to_iso(at_s * 1000, "milliseconds")
