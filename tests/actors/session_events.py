"""Events of a session, good and bad, for tests that care about few of their values."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from conductor_actors.domain.events import ChatMessage, Event, Reaction, UserJoined
from tests.support.score_rows import AT_MS


def chat(number: int = 0, at_ms: int = AT_MS) -> Event:
    return ChatMessage(at_ms, None, f"user-{number}", f"message-{number}")


def chats(count: int, at_ms: int = AT_MS) -> list[Event]:
    return [chat(number, at_ms) for number in range(count)]


def join(number: int = 0, at_ms: int = AT_MS) -> Event:
    return UserJoined(at_ms, None, f"user-{number}")


def poison(at_ms: int = AT_MS) -> Event:
    """Return an event that fails when it is applied: its message's id is not hashable."""
    unhashable: Any = ["no", "id"]
    return msgspec.structs.replace(ChatMessage(at_ms, None, None, None), message_id=unhashable)


class CallingEvents(list[Event]):
    """Events that call something on the dispatcher's thread before the last of them is applied."""

    def __init__(self, callback: Callable[[], None], *earlier: Event) -> None:
        super().__init__([*earlier, Reaction(AT_MS, None, None)])
        self._callback = callback

    def __iter__(self) -> Iterator[Event]:
        yield from self[:-1]
        if threading.current_thread().name.startswith("dispatcher"):
            self._callback()
        yield self[-1]
