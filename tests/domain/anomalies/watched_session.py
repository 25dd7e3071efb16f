"""A session that is watched tick by tick, whose people do what a test says."""

from collections.abc import Callable, Iterable
from typing import Final

from conductor_actors.domain.anomalies.changes import AnomalyBegan, AnomalyChange, AnomalyEnded
from conductor_actors.domain.detection import with_anomalies
from conductor_actors.domain.draft import apply_events
from conductor_actors.domain.events import ChatMessage, Event, Reaction, UserJoined, UserLeft
from conductor_actors.domain.gaps import NO_MARKS, GapMarks
from conductor_actors.domain.scoring import ScoreRow, Scoring
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.domain.session_state import SessionState, row_at

BEGIN_MS: Final = 1_767_528_000_000
TICK_S: Final = 5


class WatchedSession:
    """Events of each second from a function of the second, and the rows of each tick."""

    def __init__(self, rules: SessionRules | None = None) -> None:
        self.rules = rules or SessionRules()
        self.state = SessionState("keynote", self.rules)
        self.rows: list[ScoreRow] = []
        self.second = 0

    def join(self, people: int) -> None:
        self.apply(UserJoined(self.now_ms, None, f"u{number}") for number in range(people))

    def leave(self, people: Iterable[int]) -> None:
        self.apply(UserLeft(self.now_ms, None, f"u{number}") for number in people)

    @property
    def now_ms(self) -> int:
        return BEGIN_MS + self.second * 1000

    @property
    def changes(self) -> list[tuple[int, AnomalyChange]]:
        """The changes, each with the second of its tick."""
        return [
            ((row.at_ms - BEGIN_MS) // 1000, change)
            for row in self.rows
            for change in row.anomalies
        ]

    @property
    def began(self) -> list[tuple[int, AnomalyBegan]]:
        return [(at_s, each) for at_s, each in self.changes if isinstance(each, AnomalyBegan)]

    @property
    def ended(self) -> list[tuple[int, AnomalyEnded]]:
        return [(at_s, each) for at_s, each in self.changes if isinstance(each, AnomalyEnded)]

    def apply(self, events: Iterable[Event]) -> None:
        self.state = apply_events(self.state, [*events])

    def run(
        self,
        seconds: int,
        chats: Callable[[int], int] = lambda _: 0,
        reactions: Callable[[int], int] = lambda _: 0,
        marks: GapMarks = NO_MARKS,
    ) -> None:
        """Let some seconds pass, and each tick in them."""
        for _ in range(seconds):
            at = self.second
            writers = [f"u{(at * 7 + number) % 20}" for number in range(chats(at))]
            clappers = [f"u{(at * 5 + number) % 20}" for number in range(reactions(at))]
            self.apply(ChatMessage(self.now_ms, None, user, None) for user in writers)
            self.apply(Reaction(self.now_ms, None, user) for user in clappers)
            self.second += 1
            if self.now_ms % (self.rules.tick_s * 1000) == 0:
                self.tick(marks)

    def tick(self, marks: GapMarks = NO_MARKS) -> None:
        if self.state.has_row_at(self.now_ms):
            row = row_at(self.now_ms, "default", self.state, Scoring(), marks)
            self.rows.append(with_anomalies(row, self.state))


def every(seconds: int) -> Callable[[int], int]:
    """Return one event in so many seconds."""
    return lambda at: int(at % seconds == 0)
