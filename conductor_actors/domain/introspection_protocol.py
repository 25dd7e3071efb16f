"""The introspection protocol: a request about one session, and the answer of each collector.

Both are JSON, with the keys below. A description holds figures and never texts; users are counted,
not listed. Times ending in `_ms` are milliseconds since 1970, UTC.
"""

from collections.abc import Sequence
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from conductor_actors.domain.checkpoints.encoding import encode_state
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.polls import Poll
from conductor_actors.domain.scoring import Contributions, Scoring, Signals
from conductor_actors.domain.session_state import SessionState, row_at
from conductor_actors.domain.windows import CountWindow

MAX_TRACE_S: Final = 600

RequestId = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{1,64}$")]
RequestedName = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
TraceS = Annotated[float, msgspec.Meta(gt=0, le=MAX_TRACE_S)]

TraceOutput: TypeAlias = Literal["stream", "stdout", "none"]


class IntrospectionRequest(msgspec.Struct, frozen=True):
    """Describe a session; with `trace_s`, trace it for so long instead."""

    id: RequestId
    tenant: RequestedName
    session: RequestedName
    trace_s: TraceS | None = None

    @property
    def key(self) -> SessionKey:
        """The session that is to be described or traced."""
        return SessionKey(self.tenant, self.session)


class WindowCounts(msgspec.Struct, frozen=True):
    """A window: its sum, and one count a second up to `newest_s` (seconds since 1970)."""

    total: int
    newest_s: int
    per_s: Sequence[int]


class PollFigures(msgspec.Struct, frozen=True):
    """An open poll. `base` is the most users connected at once until it was closed."""

    id: str
    voters: int
    base: int
    is_open: bool
    last_vote_ms: int


class ScoreFigures(msgspec.Struct, frozen=True):
    """The score at `at_ms`: the last tick, or the end of the newest event's second."""

    at_ms: int
    is_tick: bool
    score: float
    category: str
    signals: Signals
    contributions: Contributions


class OpenIntervention(msgspec.Struct, frozen=True):
    """An intervention that can still change."""

    id: str
    type: str
    status: str
    decided_ms: int


class ConductFigures(msgspec.Struct, frozen=True):
    """The session's own mode, if it has one; what is open, and whether a trial is measured."""

    mode: str | None
    open: Sequence[OpenIntervention]
    is_measuring: bool


class AnomalyFigures(msgspec.Struct, frozen=True):
    """An open anomaly, which began at the tick `began_ms`, and why it was reported."""

    id: str
    type: str
    began_ms: int
    reason: str


class StateFigures(msgspec.Struct, frozen=True):
    """The figures of a session's state. `encoded_bytes` is its size in a checkpoint."""

    event_id: str
    last_event_ms: int | None
    last_tick_ms: int | None
    chats: WindowCounts
    reactions: WindowCounts
    active: int
    connected: int
    leavers: int
    message_ids: int
    poll: PollFigures | None  # of the newest vote
    score: ScoreFigures | None
    encoded_bytes: int
    open_polls: int = 0
    quiet_until_ms: int = 0  # 0 if it is not quiet at the last tick
    is_chat_open: bool = True
    anomaly: AnomalyFigures | None = None  # that is open
    conduct: ConductFigures | None = None  # if the conductor does something in the session


class MailboxFigures(msgspec.Struct, frozen=True):
    """The messages that wait, and those handled and refused since the actor's first start."""

    depth: int
    oldest_s: float
    handled: int
    refused: int
    busy_s: float


class PastFailure(msgspec.Struct, frozen=True):
    """A failure of the session's actor, and how long ago it was."""

    ago_s: float
    error: str


class Supervision(msgspec.Struct, frozen=True):
    """The restarts, the last failures (oldest first), and how long a quarantine still lasts."""

    restarts: int = 0
    failures: Sequence[PastFailure] = ()
    quarantine_left_s: float | None = None


class SessionDescription(
    msgspec.Struct, frozen=True, rename={"figures": "known", "supervision": "upkeep"}
):
    """A session and its actor."""

    tenant: str
    session: str
    state: Literal["running", "quarantined"]
    figures: StateFigures
    mailbox: MailboxFigures
    supervision: Supervision


class IntrospectionAnswer(
    msgspec.Struct, frozen=True, kw_only=True, rename={"trace_output": "lines"}
):
    """The answer of one collector. `is_known` is true if it has the session.

    `next_tick_ms`: the collector is reading events before this instant. `trace_output`: where the
    lines of a trace go, the log stream or the collector's stdout alone; none if the log level is
    above info.
    """

    id: str
    is_known: bool = False
    description: SessionDescription | None = None
    traced_s: float | None = None
    next_tick_ms: int | None = None
    trace_output: TraceOutput | None = None


def state_figures(
    tenant_id: str, state: SessionState, scoring: Scoring, tick_ms: int | None
) -> StateFigures:
    """Return the figures of a state after its last tick; the state does not change."""
    encoded_bytes = len(encode_state(state))
    state = state.copy()  # measuring drops what has left the windows
    score = _score_figures(tenant_id, state, scoring, tick_ms)
    polls = [*state.polls.values()]
    return StateFigures(
        state.event_id,
        state.last_event_ms,
        tick_ms,
        _window_counts(state.chats),
        _window_counts(state.reactions),
        len(state.active.times_ms),
        len(state.connections),
        len(state.leavers.times_ms),
        len(state.messages.times_ms),
        _poll_figures(polls[-1]) if polls else None,
        score,
        encoded_bytes,
        len(polls),
        state.quiet_until_ms if (tick_ms or 0) <= state.quiet_until_ms else 0,
        state.chat_is_open,
        _anomaly_figures(state),
        _conduct_figures(state),
    )


def _score_figures(
    tenant_id: str, state: SessionState, scoring: Scoring, tick_ms: int | None
) -> ScoreFigures | None:
    if state.last_event_ms is None:
        return None
    second_end_ms = (state.last_event_ms // 1000 + 1) * 1000
    at_ms = max(second_end_ms, tick_ms or 0)
    if not state.has_row_at(at_ms):
        return None
    row = row_at(at_ms, tenant_id, state, scoring)
    return ScoreFigures(
        at_ms, at_ms == tick_ms, row.score, row.category, row.signals, row.contributions
    )


def _anomaly_figures(state: SessionState) -> AnomalyFigures | None:
    anomaly = state.detector.anomaly if state.detector else None
    if anomaly is None:
        return None
    return AnomalyFigures(anomaly.id, anomaly.type, anomaly.began_ms, anomaly.reason)


def _conduct_figures(state: SessionState) -> ConductFigures | None:
    conduct = state.conduct
    if conduct is None:
        return None
    interventions = [
        OpenIntervention(each.id, each.type, each.status, each.at_ms) for each in conduct.open
    ]
    return ConductFigures(conduct.mode, interventions, bool(conduct.measurements))


def _window_counts(window: CountWindow) -> WindowCounts:
    return WindowCounts(window.total, window.newest_s, [*(window.counts or ())])


def _poll_figures(poll: Poll) -> PollFigures:
    voters = len(poll.voters) + poll.votes_without_user
    is_open = poll.closed_ms is None
    return PollFigures(poll.poll_id, voters, poll.peak_connected, is_open, poll.last_vote_ms)
