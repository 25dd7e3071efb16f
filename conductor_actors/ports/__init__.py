"""The ports through which the actors and the dashboard use Redis and the database, as Protocols.

Each port has one contract test, which the fake and the real adapter both pass. Every call may raise
`Unavailable`: call again later. No call blocks for longer than its adapter's own timeout.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple, Protocol, TypeAlias

from conductor_actors.domain.conductor.directives import NO_DIRECTIVES, DirectivesByTenant
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.gaps import Gap
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.introspection_protocol import (
    IntrospectionAnswer,
    IntrospectionRequest,
)
from conductor_actors.domain.scoring import ScoreRow

# Returns monotonic seconds: for timeouts and intervals, not for the time of day.
Clock: TypeAlias = Callable[[], float]


class ReadResult(NamedTuple):
    """What one read returned.

    `entries` are in order; later reads return only entries that come after them. Every entry before
    `watermark_ms` has been read. `now_ms` is Redis' time. `gaps` lists what was lost since the
    last read. `first_tick_ms` is set by the first read if the entries before it fill the
    windows but make no rows; `directives` then has those that hold at it. `clock_gaps` are times
    whose rows depend on when entries were read.
    """

    entries: Sequence[Entry]
    watermark_ms: int
    now_ms: int
    gaps: Sequence[Gap] = ()
    first_tick_ms: int | None = None
    clock_gaps: Sequence[Gap] = ()
    directives: DirectivesByTenant = NO_DIRECTIVES

    @property
    def lag_s(self) -> float:
        """How far the watermark is behind Redis' time."""
        return max(0, self.now_ms - self.watermark_ms) / 1000


class EventSource(Protocol):
    """Read events, from all names as one sequence."""

    def subscribe(self) -> None:
        """Buffer events that can't be read later; drop those that were buffered too long ago.

        A standby calls this repeatedly until it is the owner, and then reads.
        """

    def resume(self, position: bytes) -> None:
        """Continue from the position of another source; call this before the first read.

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

    def write(self, rows: Sequence[ScoreRow], waiting: Sequence[ScoreRow] = ()) -> WriteResult:
        """Store the rows; a row that is already stored does not change.

        A refused row does not affect the others. `waiting` are some of the rows to be written
        later: if the database accepts one of them, refused rows are at fault. After `Unavailable`,
        some rows may be stored: write all of them again. Raise `ConfigError` for what the operator
        must change.
        """

    def close(self) -> None:
        """Close every connection."""


class Retention(Protocol):
    """Delete old rows from the database."""

    def apply_retention(self, days: float) -> int:
        """Delete rows older than `days`; return how many rows or chunks were deleted.

        Return 0 if the database itself deletes them from now on. Raise `ConfigError` for what
        the operator must change.
        """


class UpdatePublisher(Protocol):
    """Publish rows as updates, and what changed at them: anomalies and interventions."""

    def publish(self, rows: Sequence[ScoreRow]) -> None:
        """Publish the rows in one round trip. After `Unavailable`, some may be published.

        Raise `OwnershipLost` if another process is the owner.
        """

    def close(self) -> None:
        """Close every connection."""


# The names under which updates and anomalies are published.
UPDATES: Final = "engagement:update"
ANOMALIES: Final = "anomaly:detected"
ANOMALIES_ENDED: Final = "anomaly:ended"
PUBLISHED_NAMES: Final = (UPDATES, ANOMALIES, ANOMALIES_ENDED)
# The names of what conductors do: the id of the session is between both.
SESSION_EVENTS_BEGIN: Final = "session:"
SESSION_EVENTS_END: Final = ":events"


class PublishedMessage(NamedTuple):
    """A message with its tenant, the name it was published under, and its body."""

    tenant: str
    name: str
    body: bytes


class SubscriptionHandlers(NamedTuple):
    """What an `UpdateSubscriber` calls: all on its event loop.

    `connected` is called once; `receive` with the messages that have arrived, in their order;
    `refused` with a tenant whose messages are not received, and why.
    """

    connected: Callable[[], None]
    receive: Callable[[Sequence[PublishedMessage]], None]
    refused: Callable[[str, Exception], None]


class UpdateSubscriber(Protocol):
    """Receive the updates and anomalies of some tenants, on one event loop."""

    async def listen(self, handlers: SubscriptionHandlers) -> None:
        """Receive the messages of all tenants that are subscribed to, until cancelled.

        Raise `Unavailable` when the connection is lost, and `ConfigError` for what the operator
        must change: then call again. Messages that are published in between are not received.
        """

    async def subscribe(self, tenant: str) -> None:
        """Receive a tenant's messages from now on, also after an outage.

        Return when the server has confirmed it. Return as well if it refuses, and if the connection
        is lost. Repeat the call for a tenant that was refused.
        """

    async def unsubscribe(self, tenant: str) -> None:
        """Receive a tenant's messages no more."""


class CommandWriter(Protocol):
    """Write the commands of people, which the collector reads like events, on one event loop.

    The templates of a tenant are stored beside them, so that they can be read again.
    """

    async def write(self, tenant: str, command: bytes) -> str:
        """Write a command of a tenant; return its id.

        Raise `ConfigError` for what the operator must change. After `Unavailable`, the command may
        be written or not: a command that is repeated has no further effect.
        """

    async def write_answer(
        self, tenant: str, decision_id: str, answer: str, command: bytes
    ) -> str | None:
        """Write the command that answers a suggestion, unless another answer was written before.

        Return None, or the earlier answer. Of several processes, one is first. Raises as `write`.
        """

    async def write_templates(self, tenant: str, templates: bytes, command: bytes) -> str:
        """Write the command that replaces the templates of a tenant, and store them.

        Return the id of the command. Raises as `write`.
        """

    async def read_templates(self, tenant: str) -> bytes | None:
        """Return the templates that a tenant stored last, or None. Raises as `write`."""

    async def close(self) -> None:
        """Close every connection."""


# Prefixes of the source of a dead letter that is no stream entry; the key of the session follows.
SESSION_SOURCE: Final = "session:"  # a handler of the session raised an error
ROW_SOURCE: Final = "row:"  # the database refused a row of the session
TITLE_SOURCE: Final = "title:"  # the database refused the title of the session


class DeadLetter(NamedTuple):
    """A message that can't be processed.

    `source` and `entry_id` identify the message. Only the beginning of a long body is stored.
    """

    source: str
    entry_id: str
    reason: str
    body: bytes


class DeadLetterQueue(Protocol):
    """Store messages that can't be processed, for an operator to inspect."""

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
        """Return the last checkpoint in full, or None."""

    def commit(self, checkpoint: Checkpoint) -> bool:
        """Store a checkpoint atomically; return False if it is not full and cannot be added.

        It can be added to the one before it, which this process has loaded or committed.

        After `Unavailable`, it may be stored.
        Raise `OwnershipLost` if another process is the owner.
        """

    def close(self) -> None:
        """Close every connection."""


class Lease(Protocol):
    """The right to process the events, which one process has at a time."""

    def acquire_or_renew(self) -> None:
        """Acquire or renew the lease; raise `OwnershipLost` if another process has it."""

    def release(self) -> None:
        """Release the lease, so that the next process does not wait until it expires."""


class CheckResult(NamedTuple):
    """A line that `check` prints, and whether the check passed, perhaps with a warning."""

    ok: bool
    line: str
    is_warning: bool = False


class OutboxPage(NamedTuple):
    """Rows in the outbox, and the ids of the entries that they are in."""

    rows: Sequence[ScoreRow]
    ids: Sequence[str]


class Outbox(Protocol):
    """Store rows, in order, while the database is unavailable."""

    def append(self, rows: Sequence[ScoreRow]) -> None:
        """Append the rows, all or none.

        After `Unavailable`, the rows may be stored or not: append them again.
        """

    def read_oldest(self, count: int) -> OutboxPage:
        """Return about `count` rows, oldest first, without deleting them; the page may be empty."""

    def delete(self, page: OutboxPage) -> None:
        """Delete the rows of a page."""

    def count_entries(self) -> int:
        """Return the number of entries; an entry has many rows."""

    def close(self) -> None:
        """Close every connection."""


class IntrospectionChannel(Protocol):
    """The collector's end of the channel for introspection requests and their answers."""

    def read(self) -> Sequence[IntrospectionRequest]:
        """Return the requests since the last call; wait a fraction of a second if there are none.

        Requests made during an outage are lost.
        """

    def send(self, answer: IntrospectionAnswer) -> None:
        """Store an answer for a minute, so that its requester can read it."""

    def close(self) -> None:
        """Close every connection."""
