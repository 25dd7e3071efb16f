"""What a session's detector sees at a tick."""

from conductor_actors.domain.anomalies.bin import Bin


class Observation:
    """What happened in a session since its last tick, and who is there.

    `chats` and `reactions` have a count for each second. `people` are 1 where the audience is
    unknown; `guests` are those of them who have not joined, and count while they are active.
    `votes`, `departures` and `returns` are counted from the session's begin on.
    """

    __slots__ = (
        "active",
        "at_ms",
        "chats",
        "departures",
        "guests",
        "has_gap",
        "is_audience_known",
        "is_chat_open",
        "is_last",
        "is_quiet",
        "people",
        "reactions",
        "returns",
        "score",
        "votes",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - each was observed
        self,
        at_ms: int,
        chats: list[int],
        reactions: list[int],
        totals: tuple[int, int, int],
        people: int,
        guests: int,
        active: int,
        score: float,
    ) -> None:
        self.at_ms = at_ms
        self.chats = chats
        self.reactions = reactions
        self.votes, self.departures, self.returns = totals
        self.people = people
        self.guests = guests
        self.active = active
        self.score = score
        self.is_audience_known = True
        self.is_chat_open = True
        self.is_quiet = False  # by arrangement
        self.has_gap = False
        self.is_last = False  # no row follows, unless there is an event

    def counts(self) -> Bin:
        """Return what teaches the baseline."""
        return Bin(
            self.at_ms,
            len(self.chats),
            sum(self.chats),
            sum(self.reactions),
            self.people,
            self.guests,
            self.active,
            int(self.score * 1000.0),
        )
