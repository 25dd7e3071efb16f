"""Sends events about one session with the quirks of real producers.

Event ids are missing or placeholders. A message has a mirror event, which may arrive before it, and
may be sent twice. Its author is in one of several keys. Many events are of kinds that the service
does not count.
"""

from collections.abc import Sequence
from heapq import heappop, heappush
from random import Random
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from conductor_actors.domain.identity import prefixed
from conductor_actors.instants import to_iso

CHAT: Final = "platform.events.chat.message.v1"
VOTE: Final = "platform.events.poll.vote.v1"
CLOSED: Final = "platform.events.poll.closed.v1"
REACTION: Final = "platform.events.live.reaction.v1"
LIVE: Final = "platform.events.live.sync.v1"
SYNC: Final = "sync-events"
REPORTED: Final = "platform.agent.intervention-outcomes.v1"

EVENT_ID: Final = "summer-summit-2026"
_EMOJI: Final = ("🔥", "👏", "❤️", "😂", "🎉", "👍")

Body = dict[str, Any]


class Person(NamedTuple):
    """A user in the audience; most have one device, some have two."""

    user_id: str
    name: str
    surname: str
    devices: int


class SimulatedPoll(NamedTuple):
    """A poll, and the people who have voted in it."""

    poll_id: str
    voters: set[Person]
    question: str = "Which track next?"
    options: Sequence[str] = ("Data", "Design", "Operations")


class SentEvent(NamedTuple):
    """An event, and when it arrives."""

    at_s: float
    number: int  # unique, so that a comparison of two events ends here
    name: str
    body: bytes


class SimulatedProducer:
    """Sends events about one session; they arrive in the order of their times."""

    def __init__(self, session_id: str, tenant: str, rng: Random) -> None:
        self._session_id = session_id
        self._tenant = tenant
        self._rng = rng
        self._in_transit: list[SentEvent] = []
        self._count = 0

    def pop_arrived(self, before_s: float) -> list[SentEvent]:
        """Remove and return the events that arrive before that time, in order."""
        arrived = []
        while self._in_transit and self._in_transit[0].at_s < before_s:
            arrived.append(heappop(self._in_transit))
        return arrived

    def new_id(self) -> str:
        """Return a random id."""
        return random_id(self._rng)

    def send_presence(self, at_s: float, kind: str, person: Person) -> None:
        """Send the `user_join` or `user_leave` of one connection."""
        name = LIVE if self._is_likely(0.8) else SYNC
        self._send(at_s, name, {"type": kind, **self._address(), "userId": person.user_id})

    def send_chat(self, at_s: float, person: Person, text: str) -> None:
        """Send a message and its mirror, sometimes with `typing`, an edit or a deletion."""
        message: Body = {"id": self.new_id(), "text": text, "timestamp": _iso(at_s)}
        beside = self._set_author(message, person)
        chat_s, mirror_s = (0.0, 0.04) if self._is_likely(0.9) else (0.04, 0.0)
        chat = self._address() | {"message": message} | beside
        self._send(at_s + chat_s, CHAT, chat)
        if self._is_likely(0.03):  # delivery is at least once
            self._send(at_s + 1, CHAT, chat)
        mirror = {"resource": "MESSAGE", "action": "CREATED", "payload": message} | beside
        self._send_sync(at_s + mirror_s, "message_created", mirror)
        if self._is_likely(0.2):
            self._send_sync(at_s, "typing", {"userId": person.user_id})
        if self._is_likely(0.04):
            kind = self._rng.choice(("message_deleted", "message_updated"))
            self._send_sync(at_s + 4, kind, {"payload": {"id": message["id"]}})

    def send_reaction(self, at_s: float, person: Person) -> None:
        """Send a reaction as one of its two kinds of event, sometimes without its user."""
        user = {"userId": person.user_id} if self._is_likely(0.9) else {}
        if self._is_likely(0.3):
            self._send_sync(at_s, "reaction", user)
            return
        emoji = self._rng.choice(_EMOJI)
        reaction = {"sessionId": self._session_id, "emoji": emoji, "timestamp": _iso(at_s)}
        self._send(at_s, REACTION, user | reaction)

    def send_vote(self, at_s: float, poll: SimulatedPoll, person: Person) -> None:
        """Send a vote; a few are anonymous."""
        user = {"userId": person.user_id} if self._is_likely(0.97) else {}
        choice = {
            "pollId": poll.poll_id,
            "optionId": f"option-{self._rng.randrange(len(poll.options))}",
        }
        self._send(at_s, VOTE, user | choice | self._address() | {"voteTimestamp": _iso(at_s)})

    def send_poll_opened(self, at_s: float, poll: SimulatedPoll) -> None:
        """Send that a poll is open, which the service does not count."""
        self.send_resource(at_s, "POLL", {"poll": self._poll_body(poll, is_active=True)})

    def send_poll_closed(self, at_s: float, poll: SimulatedPoll) -> None:
        """Send that a poll is closed, as a flat or a nested body, and its mirror."""
        nested = {"poll": self._poll_body(poll, is_active=False), "userVotedForOptionId": None}
        flat = self._address() | {"pollId": poll.poll_id}
        self._send(at_s, CLOSED, self._rng.choice((flat, nested)))
        self.send_resource(at_s, "POLL", nested)

    def send_resource(self, at_s: float, resource: str, payload: Body) -> None:
        """Send the change of a resource, which the service does not count."""
        self._send(at_s, SYNC, {"resource": resource, "action": "UPDATED", "payload": payload})

    def send_presence_update(self, at_s: float, person: Person) -> None:
        """Send that a user is still present, which the service does not count."""
        self._send_sync(at_s, "presence_update", {"userId": person.user_id})

    def _set_author(self, message: Body, person: Person) -> Body:
        """Add the author to the message, or return the keys that name it beside the message."""
        author = {"id": person.user_id, "firstName": person.name, "lastName": person.surname}
        match self._rng.choices(("full", "id", "author", "beside"), (80, 10, 7, 3))[0]:
            case "full":
                message |= {"authorId": person.user_id, "author": author}
            case "id":
                message["authorId"] = person.user_id
            case "author":
                message["author"] = author
            case _:
                return {"userId": person.user_id}
        return {}

    def _poll_body(self, poll: SimulatedPoll, *, is_active: bool) -> Body:
        options = [
            {"id": f"option-{n}", "text": text, "voteCount": len(poll.voters) // len(poll.options)}
            for n, text in enumerate(poll.options)
        ]
        return {
            "id": poll.poll_id,
            "question": poll.question,
            "isActive": is_active,
            "sessionId": self._session_id,
            "options": options,
            "totalVotes": len(poll.voters),
        }

    def _send_sync(self, at_s: float, kind: str, keys: Body) -> None:
        self._send(at_s, SYNC, {"type": kind} | self._address() | keys)

    def _send(self, at_s: float, name: str, body: Body) -> None:
        self._count += 1
        full_name = prefixed(self._tenant, name)
        event = SentEvent(at_s, self._count, full_name, msgspec.json.encode(body))
        heappush(self._in_transit, event)

    def _address(self) -> Body:
        event_ids = (EVENT_ID, "unknown", self._session_id, None)
        event_id = self._rng.choices(event_ids, (70, 10, 10, 10))[0]
        address = {"sessionId": self._session_id}
        return address | {"eventId": event_id} if event_id else address

    def _is_likely(self, share: float) -> bool:
        return self._rng.random() < share


def _iso(at_s: float) -> str:
    return to_iso(at_s * 1000, "milliseconds")


def random_id(rng: Random) -> str:
    """Return a random id."""
    return str(UUID(int=rng.getrandbits(128), version=4))
