"""A bin: the counts of some seconds, which teach the baseline a minute later."""

from typing import Final

from conductor_actors.domain.anomalies.packed_detector import Packed

BIN_S: Final = 5
MAX_BINS: Final = 16  # more than a minute has


class Bin:
    """The counts of some seconds before `end_ms`. `score` is in thousandths."""

    __slots__ = ("active", "chats", "end_ms", "guests", "people", "reactions", "score", "seconds")

    def __init__(  # noqa: PLR0913, PLR0917 - each is a count
        self,
        end_ms: int,
        seconds: int,
        chats: int,
        reactions: int,
        people: int,
        guests: int,
        active: int,
        score: int,
    ) -> None:
        self.end_ms = end_ms
        self.seconds = seconds
        self.chats = chats
        self.reactions = reactions
        self.people = people
        self.guests = guests
        self.active = active
        self.score = score

    def add(self, later: "Bin") -> None:
        """Add the counts of the seconds after it."""
        self.end_ms = later.end_ms
        self.seconds += later.seconds
        self.chats += later.chats
        self.reactions += later.reactions
        self.people = later.people
        self.guests = later.guests
        self.active = later.active
        self.score = later.score

    def pack(self) -> Packed:
        """Return it as a checkpoint stores it."""
        return (
            self.end_ms,
            self.seconds,
            self.chats,
            self.reactions,
            self.people,
            self.guests,
            self.active,
            self.score,
        )
