"""Recorded events of sessions whose people all stop for a minute, again and again."""

import json
from collections.abc import Iterator
from random import Random
from typing import Final, NamedTuple, TypeAlias

from tests.support.event_samples import CHAT, LIVE, REACTION

SEED: Final = 9
USERS: Final = 30
EVENTS_PER_S: Final = 3
FIRST_DROP_S: Final = 240
DROP_S: Final = 60
BETWEEN_DROPS_S: Final = 240
LAST_EVENT_S: Final = 300  # after all others: until then their sessions are over

TimedEvent: TypeAlias = tuple[float, str, str]  # when, its name, its body


class Talk(NamedTuple):
    """How many sessions there are, and how long they last. Their drops begin one by one."""

    sessions: int
    minutes: int

    def events(self) -> list[TimedEvent]:
        """Return the events in order."""
        return sorted(_events(self))


def _events(talk: Talk) -> Iterator[TimedEvent]:
    chance = Random(SEED)
    duration_s = talk.minutes * 60
    for number in range(talk.sessions):
        session = f"session-{number}"
        drops_s = _drops(number * (BETWEEN_DROPS_S / talk.sessions), duration_s)
        for user in range(USERS):
            yield user / 10, LIVE, _presence("user_join", session, user)
        for second in range(10, duration_s):
            if not any(begin_s <= second < begin_s + DROP_S for begin_s in drops_s):
                yield from _events_of_a_second(chance, session, second)
        for user in range(USERS // 2 if number % 2 else 0):  # half of the people leave
            yield duration_s - 90 + user, LIVE, _presence("user_leave", session, user)
    yield duration_s + LAST_EVENT_S, REACTION, '{"sessionId":"last"}'


def _drops(after_s: float, until_s: float) -> list[float]:
    first_s = FIRST_DROP_S + after_s
    return [first_s + n * BETWEEN_DROPS_S for n in range(int(until_s // BETWEEN_DROPS_S))]


def _events_of_a_second(chance: Random, session: str, second: int) -> Iterator[TimedEvent]:
    for _ in range(EVENTS_PER_S):
        at_s, user = second + chance.random(), f"user-{chance.randrange(USERS)}"
        if chance.random() < 0.6:
            message = {"id": f"{chance.getrandbits(64):x}", "authorId": user}
            yield at_s, CHAT, json.dumps({"sessionId": session, "message": message})
        elif chance.random() < 0.5:
            yield at_s, REACTION, json.dumps({"sessionId": session, "userId": user})


def _presence(kind: str, session: str, user: int) -> str:
    return json.dumps({"type": kind, "sessionId": session, "userId": f"user-{user}"})
