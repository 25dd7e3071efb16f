"""The edges of the system: what actors need from the outside world, as Protocols.

Every adapter of a port passes the same contract tests, fake or real. All may raise
`Unavailable` (try again later); none blocks longer than its own deadline.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Final, NamedTuple, Protocol, TypeAlias

from conductor_actors.domain.gaps import Gap
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.intake import Entry
from conductor_actors.domain.introspection_protocol import (
    IntrospectionAnswer,
    IntrospectionRequest,
)
from conductor_actors.domain.scoring import ScoreRow, Signals

# Seconds that never go back: what waits and budgets are measured with.
Clock: TypeAlias = Callable[[], float]


class Read(NamedTuple):
    """What one read brought.

    `entries` are in order; every later read brings only entries that come after them.
    `watermark_ms`: everything before it has been read. `now_ms`: Redis' own clock.
    `first_tick_ms`: set by the first read when what comes before only fills the windows.
    """

    entries: Sequence[Entry]
    watermark_ms: int
    now_ms: int
    gaps: Sequence[Gap] = ()
    first_tick_ms: int | None = None


class EventSource(Protocol):
    """Where events come from."""

    def listen(self) -> None:
        """Begin to hear what can't be read later; what was heard a minute ago is let go of."""

    def resume(self, position: bytes) -> None:
        """Begin to read where another source was; to be called before the first read."""

    def read(self) -> Read:
        """Read what is there, waiting a fraction of a second when nothing is."""

    def position(self) -> bytes:
        """Return the position after the entries of all reads so far."""

    def close(self) -> None:
        """Close every connection."""


class Written(NamedTuple):
    """What one write did: how many rows were new, and which can never be stored, and why."""

    stored: int
    refused: Sequence[tuple[ScoreRow, str]]


class ScoreStore(Protocol):
    """Where rows are kept."""

    def write(self, rows: Sequence[ScoreRow]) -> Written:
        """Store the rows, each once however often it is written.

        A refused row stops no other. After `Unavailable` some may be stored: write all again.
        """

    def close(self) -> None:
        """Close every connection."""


class Retention(Protocol):
    """How old rows are let go of."""

    def retain(self, days: float) -> int:
        """Drop what is older; return how much went."""


class ScoreFeed(Protocol):
    """Where updates are announced."""

    def publish(self, rows: Sequence[ScoreRow]) -> None:
        """Announce the rows, in one round trip."""

    def close(self) -> None:
        """Close every connection."""


# The names under which updates and anomalies are published.
UPDATES: Final = "engagement:update"
ANOMALIES: Final = "anomaly:detected"


class PublishedMessage(NamedTuple):
    """What was published under one of these names: for which tenant, and its body."""

    tenant: str
    name: str
    body: bytes


class UpdateSubscriber(Protocol):
    """Where updates and anomalies of all tenants are received, on one event loop."""

    async def listen(
        self, subscribed: Callable[[], None], receive: Callable[[PublishedMessage], None]
    ) -> None:
        """Call `subscribed` once, then `receive` for each message, until the task is cancelled.

        Raise `Unavailable` when the connection is lost, and `ConfigError` for what the operator
        must change: call again then. What is published in between is not received.
        """


class StoredScore(NamedTuple):
    """One session's score at one tick, as it was stored."""

    at_ms: int
    event_id: str
    score: float
    category: str
    signals: Signals


class HistoryStep(NamedTuple):
    """Several ticks of a session in one. `at_ms` is where the step begins."""

    at_ms: int
    score: float
    min_score: float
    max_score: float
    max_active_users: int
    max_total_users: int
    ticks: int


class HistoryReader(Protocol):
    """Where stored scores of a session are read, on one event loop, between `open` and `close`.

    Every read raises `Unavailable`, or `ConfigError` for what the operator must change.
    """

    async def open(self) -> None:
        """Begin to keep connections; the first read connects."""

    async def close(self) -> None:
        """Close every connection."""

    async def check(self) -> None:
        """Return if scores can be read."""

    async def rows(self, key: SessionKey, first_ms: int, until_ms: int) -> Sequence[StoredScore]:
        """Return the scores of `[first_ms, until_ms)`, oldest first."""

    async def newest(self, key: SessionKey) -> StoredScore | None:
        """Return the last score, if there is one."""

    async def steps(
        self, key: SessionKey, first_ms: int, until_ms: int, step: timedelta
    ) -> Sequence[HistoryStep]:
        """Return `[first_ms, until_ms)` in steps, oldest first; both must be whole steps."""


# How the source of a letter begins that comes from no event stream; the session's key follows.
SESSION_SOURCE: Final = "session:"  # a handler of the session raised
ROW_SOURCE: Final = "row:"  # the database refused a row of the session


class DeadLetter(NamedTuple):
    """A message that can't be handled: where it came from, why it is here, how it began."""

    source: str
    entry_id: str
    reason: str
    body: bytes


class DeadLetterBox(Protocol):
    """Where messages end that can't be handled."""

    def add(self, letters: Sequence[DeadLetter]) -> None:
        """Store the letters; of each body the first 256 bytes."""


class Checkpoint(NamedTuple):
    """A header and sessions' states. Unless it is whole, sessions not named stay as they were."""

    header: bytes
    sessions: Mapping[SessionKey, bytes]
    ended: Collection[SessionKey] = ()
    is_full: bool = False

    def size_bytes(self) -> int:
        """Add up what is stored."""
        return len(self.header) + sum(map(len, self.sessions.values()))


class CheckpointStore(Protocol):
    """Where the last checkpoint is kept. What the owner alone may do raises `OwnershipLost`."""

    def load(self) -> Checkpoint | None:
        """Return the last checkpoint, in full, if there is one."""

    def commit(self, checkpoint: Checkpoint) -> bool:
        """Store it all at once, or nothing; False if it is not whole and there is none to add to.

        After `Unavailable` it may be stored.
        """

    def close(self) -> None:
        """Close every connection."""


class Lease(Protocol):
    """The right to own this data: one process at a time has it."""

    def hold(self) -> None:
        """Acquire or renew the lease; raise `OwnershipLost` if another process has it."""

    def release(self) -> None:
        """Release the lease, so that the next process need not wait."""


class Finding(NamedTuple):
    """One line of a check, and whether it is as it should be."""

    ok: bool
    line: str


class SpilledRows(NamedTuple):
    """Rows that wait in an outbox, and under which ids."""

    rows: Sequence[ScoreRow]
    ids: Sequence[str]


class Outbox(Protocol):
    """Where rows wait, in order, that can't be stored yet."""

    def append(self, rows: Sequence[ScoreRow]) -> None:
        """Set the rows aside, behind all others: every one of them, or none.

        After `Unavailable` they may be there all the same: append all again.
        """

    def oldest(self, count: int) -> SpilledRows:
        """Show about so many rows, oldest first; none when there are none. They stay."""

    def remove(self, stored: SpilledRows) -> None:
        """Delete rows that `oldest` has returned."""

    def size(self) -> int:
        """Count the entries; each has many rows."""

    def close(self) -> None:
        """Close every connection."""


class IntrospectionChannel(Protocol):
    """The collector's end of the channel for introspection requests and their answers."""

    def read(self) -> Sequence[IntrospectionRequest]:
        """Return the requests since the last call, waiting a fraction of a second for one.

        Requests made during an outage are lost.
        """

    def send(self, answer: IntrospectionAnswer) -> None:
        """Store an answer for a minute, in which its requester can fetch it."""

    def close(self) -> None:
        """Close every connection."""
