"""The entries of a session, as platforms send them: with mirrors, second devices and repeats."""

from random import Random
from typing import Final

from conductor_actors.domain.commands import encode_quiet
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.identity import COMMANDS
from conductor_actors.instants import to_iso
from tests.support.event_samples import CHAT, CHAT_SWITCH, CLOSED, LIVE, REACTION, SYNC, VOTE

_REACTIONS: Final = ("👏", "❤️", "😂", "🎉", "🔥")
_TEXTS: Final = ("hello", "can you hear us?", "great point", "+1", "is there a recording?")


class Producer:
    """Collects the entries of one session. Times are in seconds since its begin."""

    def __init__(self, session_id: str, begin_ms: int, repeats: float, rng: Random) -> None:
        self._rng = rng
        self._begin_ms = begin_ms
        self._repeats = repeats
        self._head = f'"sessionId":"{session_id}"'
        self._session_id = session_id
        event_id = rng.choice(("e1", "e1", "e1", "unknown", session_id))
        self._ids = f'{self._head},"eventId":"{event_id}"'
        self._presence_name = rng.choice((SYNC, LIVE))
        self._messages = 0
        self._unsorted: list[tuple[int, str, str]] = []

    def ms(self, at_s: float) -> int:
        return self._begin_ms + int(at_s * 1000)

    def entries(self, from_s: float) -> list[Entry]:
        """Return the entries from a time on, in the order of their ids."""
        from_ms = self.ms(from_s)
        kept = sorted(each for each in self._unsorted if each[0] >= from_ms)
        return [(ms, number, name, body.encode()) for number, (ms, name, body) in enumerate(kept)]

    def chat(self, at_s: float, user_id: str) -> None:
        self._messages += 1
        message = (
            f'{{"id":"m{self._messages}","text":"{_TEXTS[self._messages % len(_TEXTS)]}",'
            f'"authorId":"{user_id}"}}'
        )
        self._add(at_s, CHAT, f'{{{self._ids},"message":{message}}}')
        if self._rng.random() < self._repeats:
            mirror = f'{{"type":"message_created",{self._ids},"payload":{message}}}'
            self._add(at_s + 0.08 * self._rng.random(), SYNC, mirror)

    def reaction(self, at_s: float, user_id: str) -> None:
        emoji = _REACTIONS[int(at_s) % len(_REACTIONS)]
        self._add(at_s, REACTION, f'{{"userId":"{user_id}",{self._head},"emoji":"{emoji}"}}')

    def vote(self, at_s: float, poll_id: str, user_id: str) -> None:
        vote = f'"pollId":"{poll_id}","optionId":"a","userId":"{user_id}"'
        self._add(at_s, VOTE, f"{{{self._ids},{vote}}}")

    def poll_closed(self, at_s: float, poll_id: str) -> None:
        poll = f'{{"id":"{poll_id}","sessionId":"{self._session_id}","isActive":false}}'
        self._add(at_s, CLOSED, f'{{"poll":{poll}}}')

    def visit(
        self, user_id: str, devices: int, begin_s: float, end_s: float, last_s: float
    ) -> None:
        """Connect and disconnect each device of a user; what is after the last time is not sent."""
        rng = self._rng
        for device in range(devices):
            joins_s = begin_s + device * rng.uniform(1, 30)
            if joins_s < end_s:
                leaves_s = end_s - device * rng.uniform(0, 1)
                self._presence("user_join", user_id, joins_s, last_s)
                self._presence("user_leave", user_id, max(joins_s, leaves_s), last_s)

    def chat_status(self, at_s: float, *, is_open: bool) -> None:
        self._add(at_s, CHAT_SWITCH, f'{{{self._ids},"chatOpen":{str(is_open).lower()}}}')

    def quiet(self, at_s: float, until_s: float) -> None:
        """Arrange a quiet time."""
        until = to_iso(self.ms(until_s))
        self._add(at_s, COMMANDS, encode_quiet(self._session_id, until).decode())

    def _presence(self, kind: str, user_id: str, at_s: float, last_s: float) -> None:
        if at_s < last_s:
            body = f'{{"type":"{kind}",{self._ids},"userId":"{user_id}"}}'
            self._add(at_s, self._presence_name, body)
            if self._rng.random() < 0.02 * self._repeats:
                self._add(at_s + 0.5, self._presence_name, body)

    def _add(self, at_s: float, name: str, body: str) -> None:
        self._unsorted.append((self.ms(at_s), name, body))
