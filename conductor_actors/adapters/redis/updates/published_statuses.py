"""Find out when mode or status of a session's conductor changes, which rows do not say."""

from collections.abc import Iterator, Sequence
from typing import Final

from conductor_actors.domain.conductor.interventions import AgentState, Mode
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import ScoreRow

MAX_STATUSES: Final = 100_000


class PublishedStatuses:
    """The status that was published last, of each session that has another than the default.

    Those of more sessions than memory allows are forgotten, oldest first: that such a session is
    back at the default is not published.
    """

    def __init__(self, mode: Mode) -> None:
        self._default = AgentState(mode, "IDLE" if mode == "OFF" else "MONITORING")
        self._published: dict[SessionKey, AgentState] = {}

    def changes(self, rows: Sequence[ScoreRow]) -> Iterator[tuple[ScoreRow, AgentState]]:
        """Return the rows with a status to publish: another one, or that of a new decision."""
        published = self._published
        newest = dict[SessionKey, AgentState]()
        for row in rows:
            if row.agent is None and not (published or newest):
                continue  # most often
            state = row.agent or self._default
            before = newest.get(row.key) or published.get(row.key, self._default)
            if state != before or row.interventions:
                newest[row.key] = state
                yield row, state

    def record(self, changes: Sequence[tuple[ScoreRow, AgentState]]) -> None:
        """Record that these were published."""
        for row, state in changes:
            self._published.pop(row.key, None)
            if state != self._default:
                self._published[row.key] = state
                if len(self._published) > MAX_STATUSES:
                    del self._published[next(iter(self._published))]
