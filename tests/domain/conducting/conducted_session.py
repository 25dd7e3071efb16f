"""A session that is conducted tick by tick: its scores and anomalies are what a test says."""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from conductor_actors.domain.anomalies.changes import AnomalyBegan
from conductor_actors.domain.checkpoints.encoding import decode_state, encode_state
from conductor_actors.domain.conducting.conducted_rows import with_interventions
from conductor_actors.domain.conductor.directives import Directives
from conductor_actors.domain.conductor.interventions import AgentState, Intervention
from conductor_actors.domain.conductor.requests import ConductRequest
from conductor_actors.domain.draft import apply_events
from conductor_actors.domain.events import Reaction, UserJoined
from conductor_actors.domain.gaps import GapMark
from conductor_actors.domain.scoring import ScoreRow, Scoring
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.domain.session_state import SessionState, row_at
from tests.support.score_rows import began

BEGIN_MS: Final = 1_767_528_000_000
TICK_MS: Final = 5000
TENANT: Final = "default"


class ConductedSession:
    """`tick` passes the next tick; `at_s` is the time of the last one since the begin."""

    def __init__(
        self, rules: SessionRules | None = None, directives: Directives | None = None
    ) -> None:
        self.state = SessionState("keynote", rules or SessionRules())
        self.directives = {} if directives is None else {TENANT: directives}
        self.at_s = 0
        self.rows: list[ScoreRow] = []
        self.state = apply_events(self.state, [UserJoined(BEGIN_MS, "event", "ada")])

    @property
    def at_ms(self) -> int:
        return BEGIN_MS + self.at_s * 1000

    @property
    def open(self) -> tuple[Intervention, ...]:
        return () if self.state.conduct is None else self.state.conduct.open

    @property
    def agent(self) -> AgentState | None:
        return self.rows[-1].agent

    def request(self, *requests: ConductRequest) -> None:
        """Apply requests, made after the last tick."""
        self.state = apply_events(
            self.state, [replace(each, at_ms=self.at_ms) for each in requests]
        )

    def checkpoint(self) -> None:
        """Continue from a checkpoint of the state, as after a crash."""
        rules, session_id = self.state.rules, self.state.session_id
        self.state = decode_state(encode_state(self.state), session_id, rules)

    def tick(
        self,
        anomaly: AnomalyBegan | None = None,
        *,
        score: float = 0.5,
        has_gap: bool = False,
        is_silent: bool = False,
    ) -> Sequence[Intervention]:
        """Pass the next tick; return the interventions that changed."""
        if not is_silent:
            self.state = apply_events(self.state, [Reaction(self.at_ms, None, "ada")])
        self.at_s += TICK_MS // 1000
        row = row_at(self.at_ms, TENANT, self.state, Scoring())
        gap = GapMark("flooded", 3) if has_gap else None
        row = replace(row, score=score, gap=gap, anomalies=(anomaly,) if anomaly else ())
        self.rows.append(with_interventions(row, self.state, self.directives))
        return self.rows[-1].interventions

    def ticks(self, seconds: int, *, score: float = 0.5) -> list[Intervention]:
        """Pass the ticks of so many seconds; return all that changed."""
        return [each for _ in range(seconds // 5) for each in self.tick(score=score)]

    def drop(self, number: int = 1, score: float = 0.5) -> Sequence[Intervention]:
        """Pass a tick at which an anomaly begins."""
        anomaly_id = f"00000000-0000-5000-8000-{number:012d}"
        return self.tick(began(anomaly_id), score=score)
