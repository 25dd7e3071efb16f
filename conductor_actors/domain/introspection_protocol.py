"""What can be asked about one session, and what is answered: figures, never texts, users counted.

Both are JSON on the wire, with these keys. Times are milliseconds since 1970, UTC.
"""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec

from conductor_actors.domain.checkpoints import encode_state
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.polls import Poll
from conductor_actors.domain.scoring import Contributions, Scoring, Signals
from conductor_actors.domain.session_state import SessionState, row_at
from conductor_actors.domain.windows import CountWindow

LONGEST_TRACE_S: Final = 600

Id = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{1,64}$")]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
TraceS = Annotated[float, msgspec.Meta(gt=0, le=LONGEST_TRACE_S)]


class Request(msgspec.Struct, frozen=True):
    """Describe a session; with `trace_s`, trace it for so long instead."""

    id: Id
    tenant: Name
    session: Name
    trace_s: TraceS | None = None

    @property
    def key(self) -> SessionKey:
        """The session it is about."""
        return SessionKey(self.tenant, self.session)


class Counts(msgspec.Struct, frozen=True):
    """A window: its sum, and one count a second up to `newest_s` (seconds since 1970)."""

    total: int
    newest_s: int
    per_s: Sequence[int]


class PollFigures(msgspec.Struct, frozen=True):
    """The poll voted on last. `base` is the most users connected at once while it was open."""

    id: str
    voters: int
    base: int
    is_open: bool
    last_vote_ms: int


class Score(msgspec.Struct, frozen=True):
    """What the session is worth at `at_ms`: a tick, or the second behind its newest event."""

    at_ms: int
    is_tick: bool
    score: float
    category: str
    signals: Signals
    contributions: Contributions


class StateFigures(msgspec.Struct, frozen=True):
    """What is known of a session. `encoded_bytes` is its size in a checkpoint."""

    event_id: str
    last_event_ms: int | None
    last_tick_ms: int | None
    chats: Counts
    reactions: Counts
    active: int
    connected: int
    leavers: int
    message_ids: int
    poll: PollFigures | None
    score: Score | None
    encoded_bytes: int


class MailboxFigures(msgspec.Struct, frozen=True):
    """A mailbox: what waits, and what was done and refused since the actor's first start."""

    depth: int
    oldest_s: float
    handled: int
    refused: int
    busy_s: float


class Failure(msgspec.Struct, frozen=True):
    """A failure, and how long ago it was."""

    ago_s: float
    error: str


class Upkeep(msgspec.Struct, frozen=True):
    """What the Supervisor knows of a session: the last failures, oldest first."""

    restarts: int = 0
    failures: Sequence[Failure] = ()
    quarantine_left_s: float | None = None


class Description(msgspec.Struct, frozen=True):
    """A session and its actor."""

    tenant: str
    session: str
    state: Literal["running", "quarantined"]
    known: StateFigures
    mailbox: MailboxFigures
    upkeep: Upkeep


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of one collector: it may not know the session.

    `next_tick_ms`: events before it are being read. `lines`: where a trace can be read, the Redis
    stream or the service's stdout alone; none where the log level is above info.
    """

    id: str
    is_known: bool = False
    description: Description | None = None
    traced_s: float | None = None
    next_tick_ms: int | None = None
    lines: Literal["stream", "stdout", "none"] | None = None


def figures(
    tenant_id: str, state: SessionState, scoring: Scoring, tick_ms: int | None
) -> StateFigures:
    """Count what a state holds after its last tick, leaving it as it is."""
    encoded_bytes = len(encode_state(state))
    state = state.copy()  # measuring forgets what is old
    score = _score(tenant_id, state, scoring, tick_ms)
    return StateFigures(
        state.event_id,
        state.last_event_ms,
        tick_ms,
        _counts(state.chats),
        _counts(state.reactions),
        len(state.active.moments),
        len(state.connections),
        len(state.leavers.moments),
        len(state.messages.moments),
        _poll(state.poll) if state.poll else None,
        score,
        encoded_bytes,
    )


def _score(
    tenant_id: str, state: SessionState, scoring: Scoring, tick_ms: int | None
) -> Score | None:
    if state.last_event_ms is None:
        return None
    behind_ms = (state.last_event_ms // 1000 + 1) * 1000
    at_ms = max(behind_ms, tick_ms or 0)
    if not state.has_row_at(at_ms):
        return None
    row = row_at(at_ms, tenant_id, state, scoring)
    return Score(at_ms, at_ms == tick_ms, row.score, row.category, row.signals, row.contributions)


def _counts(window: CountWindow) -> Counts:
    return Counts(window.total, window.newest_s, [*(window.counts or ())])


def _poll(poll: Poll) -> PollFigures:
    voters = len(poll.voters) + poll.votes_without_user
    is_open = poll.closed_ms is None
    return PollFigures(poll.poll_id, voters, poll.most_connected, is_open, poll.last_vote_ms)
