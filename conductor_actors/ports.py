"""What the actors and the dashboard need from the outside world, as Protocols.

Each port has one contract test, which the fake and the real adapter both pass. Every call may raise
`Unavailable`: try again later. No call blocks for longer than its adapter's own timeout.
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

# Returns monotonic seconds: for timeouts and intervals, not for the time of day.
Clock: TypeAlias = Callable[[], float]


class ReadResult(NamedTuple):
    """What one read returned.

    `entries` are in order; later reads return only entries that come after them. Every entry before
    `watermark_ms` has been read. `now_ms` is Redis' time. `gaps` lists what was lost since the
    last read. `first_tick_ms` is set by the first read if the entries before it fill the
    windows but make no rows.
    """

    entries: Sequence[Entry]
    watermark_ms: int
    now_ms: int
    gaps: Sequence[Gap] = ()
    first_tick_ms: int | None = None

    @property
    def lag_s(self) -> float:
        """How far the watermark is behind Redis' time."""
        return max(0, self.now_ms - self.watermark_ms) / 1000


class EventSource(Protocol):
    """Read events, from all names as one sequence."""

    def subscribe(self) -> None:
        """Start to buffer events that can't be read later; drop those buffered too long ago.

        A standby calls this again and again until it is the owner, and then reads.
        """

    def resume(self, position: bytes) -> None:
        """Read on from the position of another source; call this before the first read.

        Raise `ConfigError` if the position is damaged.
        """

    def read(self) -> ReadResult:
        """Return the next entries; wait a fraction of a second if there are none."""

    def position(self) -> bytes:
        """Return the position after the entries of all reads so far."""

    def close(self) -> None:
        """Close every connection."""


class RefusedRow(NamedTuple):
    """A row that the database will never store, and why."""

    row: ScoreRow
    reason: str


class WriteResult(NamedTuple):
    """The number of rows that were new, and the rows that were refused."""

    stored: int
    refused: Sequence[RefusedRow]


class RowStore(Protocol):
    """Store rows in the database."""

    def write(self, rows: Sequence[ScoreRow]) -> WriteResult:
        """Store the rows; a row that is stored already stays as it is.

        A refused row does not affect the others. After `Unavailable` some rows may be stored: write
        all of them again. Raise `ConfigError` for what the operator must change.
        """

    def close(self) -> None:
        """Close every connection."""


class Retention(Protocol):
    """Delete old rows from the database."""

    def apply_retention(self, days: float) -> int:
        """Delete rows older than so many days; return how many rows or chunks were deleted.

        Return 0 if the database deletes them by itself from now on. Raise `ConfigError` for what
        the operator must change.
        """


class UpdatePublisher(Protocol):
    """Publish the updates that rows make."""

    def publish(self, rows: Sequence[ScoreRow]) -> None:
        """Publish the rows in one round trip. After `Unavailable` some may be published.

        Raise `OwnershipLost` if another process is the owner.
        """

    def close(self) -> None:
        """Close every connection."""


# The names under which updates and anomalies are published.
UPDATES: Final = "engagement:update"
ANOMALIES: Final = "anomaly:detected"


class PublishedMessage(NamedTuple):
    """A message with its tenant, the name it was published under, and its body."""

    tenant: str
    name: str
    body: bytes


class UpdateSubscriber(Protocol):
    """Receive the updates and anomalies of all tenants, on one event loop."""

    async def listen(
        self, subscribed: Callable[[], None], receive: Callable[[PublishedMessage], None]
    ) -> None:
        """Call `subscribed` once, then `receive` for each message, until the task is cancelled.

        Raise `Unavailable` when the connection is lost, and `ConfigError` for what the operator
        must change: call again then. What is published in between is not received.
        """


class StoredScore(NamedTuple):
    """A session's score at one tick, as the database has it."""

    at_ms: int
    event_id: str
    score: float
    category: str
    signals: Signals
    is_audience_known: bool = True


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
    """Read the stored scores of a session, on one event loop, between `open` and `close`.

    Every read raises `Unavailable`, or `ConfigError` for what the operator must change.
    """

    async def open(self) -> None:
        """Open the pool of connections; the first read connects."""

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


# Beginnings of the source of a letter that comes from no event stream; the session's key follows.
SESSION_SOURCE: Final = "session:"  # a handler of the session raised an error
ROW_SOURCE: Final = "row:"  # the database refused a row of the session


class DeadLetter(NamedTuple):
    """A message that can't be processed.

    `source` and `entry_id` tell where it came from. Of a long body only the beginning is stored.
    """

    source: str
    entry_id: str
    reason: str
    body: bytes


class DeadLetterQueue(Protocol):
    """Store messages that can't be processed, for an operator to look at."""

    def add(self, letters: Sequence[DeadLetter]) -> None:
        """Store the letters, each with the first 256 bytes of its body.

        Raise `OwnershipLost` if another process is the owner.
        """


class Checkpoint(NamedTuple):
    """A header, and the states of sessions.

    Unless it `is_full`, it has only the sessions that changed or ended since the last checkpoint.
    """

    header: bytes
    sessions: Mapping[SessionKey, bytes]
    ended: Collection[SessionKey] = ()
    is_full: bool = False

    def size_bytes(self) -> int:
        """Return the size of the header and of all states."""
        return len(self.header) + sum(map(len, self.sessions.values()))


class CheckpointStore(Protocol):
    """Store the last checkpoint."""

    def load(self) -> Checkpoint | None:
        """Return the last checkpoint in full, if there is one."""

    def commit(self, checkpoint: Checkpoint) -> bool:
        """Store a checkpoint as a whole; False if it is not full and there is none to add to.

        After `Unavailable` it may be stored. Raise `OwnershipLost` if another process is the owner.
        """

    def close(self) -> None:
        """Close every connection."""


class Lease(Protocol):
    """The right to process the events, which one process has at a time."""

    def acquire_or_renew(self) -> None:
        """Acquire or renew the lease; raise `OwnershipLost` if another process has it."""

    def release(self) -> None:
        """Release the lease, so that the next process need not wait for it to expire."""


class CheckResult(NamedTuple):
    """One line that `check` prints, and whether it is as it should be."""

    ok: bool
    line: str


class OutboxPage(NamedTuple):
    """Rows in the outbox, and the ids of the entries that they are in."""

    rows: Sequence[ScoreRow]
    ids: Sequence[str]


class Outbox(Protocol):
    """Store rows, in order, while the database can't."""

    def append(self, rows: Sequence[ScoreRow]) -> None:
        """Append the rows, all or none.

        After `Unavailable` the rows may be there or not: append them again.
        """

    def read_oldest(self, count: int) -> OutboxPage:
        """Return about `count` rows, oldest first, without deleting them; or an empty page."""

    def delete(self, page: OutboxPage) -> None:
        """Delete the rows of a page."""

    def count_entries(self) -> int:
        """Return the number of entries; an entry has many rows."""

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
