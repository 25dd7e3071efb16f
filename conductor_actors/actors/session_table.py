"""The mailboxes of sessions, each opened at the first event; and the contents of checkpoints."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from conductor_actors.actors.latch import Latch
from conductor_actors.actors.messages import (
    AllSnapshotsTaken,
    CheckForgotten,
    Describe,
    EventBatch,
    Passivate,
    Snapshot,
    SnapshotQuarantined,
    StartSession,
    Tick,
)
from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.actors.runtime.mailbox import Envelope, Mailbox, PooledMailbox
from conductor_actors.domain.draft import can_begin
from conductor_actors.domain.events import Event
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.intake import EventsBySession
from conductor_actors.domain.session_state import SessionState

PASSIVATION_CHECK_MS: Final = 5 * 60 * 1000


class CheckpointContents(NamedTuple):
    """The sessions that a checkpoint stores, and those that it removes."""

    number: int
    changed: frozenset[SessionKey]
    ended: frozenset[SessionKey]
    is_full: bool
    follows_commit: bool  # of the contents before


class DirtySet:
    """The sessions that have changed or ended since the last durable checkpoint.

    The contents of a checkpoint that was not committed are added to the next one.
    """

    def __init__(self, last_number: int = 0, ended: Iterable[SessionKey] = ()) -> None:
        """Continue after checkpoint `last_number`; after 0, the first one is full."""
        self._number = last_number
        self._changed: set[tuple[str, str]] = set()
        self._ended: set[SessionKey] = set(ended)
        self._is_full = last_number == 0
        self._in_flight: CheckpointContents | None = None

    def mark(self, keys: Iterable[tuple[str, str]]) -> None:
        """Mark sessions that received events."""
        self._changed.update(keys)

    def mark_ended(self, key: SessionKey) -> None:
        """Mark a session that has ended."""
        self._changed.discard(key)
        self._ended.add(key)

    def require_full(self) -> None:
        """Make the next checkpoint full: it stores every session."""
        self._is_full = True

    def begin_checkpoint(self, alive: Iterable[SessionKey]) -> CheckpointContents:
        """Return the contents of the next checkpoint. Later marks are for the one after it."""
        living, follows_commit = frozenset(alive), self._in_flight is None
        if self._in_flight is not None:  # it was not committed
            self._changed |= self._in_flight.changed
            self._ended |= self._in_flight.ended
            self._is_full |= self._in_flight.is_full
        has_changed = self._changed.__contains__
        changed = living if self._is_full else frozenset(filter(has_changed, living))
        self._number += 1
        self._in_flight = CheckpointContents(
            self._number,
            changed,
            frozenset(self._ended - living),
            self._is_full,
            follows_commit,
        )
        self._changed, self._ended, self._is_full = set(), set(), False
        return self._in_flight

    def mark_committed(self, number: int) -> None:
        """Record that a checkpoint is durable."""
        if self._in_flight is not None and self._in_flight.number == number:
            self._in_flight = None


class _Entry:
    __slots__ = ("gathered", "key", "last_event_ms", "mailbox")

    def __init__(self, key: SessionKey, mailbox: PooledMailbox) -> None:
        self.key = key
        self.mailbox = mailbox
        self.last_event_ms = 0
        self.gathered: list[Event] | None = None  # events that wait for their tick


class SessionTable:
    """The sessions that have a mailbox. The Router uses it, and the Ticker while the Router waits.

    Nothing else sends events to sessions, so none is lost: `Passivate` is the last message in a
    session's mailbox, and later events go to a new one. It follows a `Snapshot`, so that a
    checkpoint without the session is committed only after the session's last rows.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        supervisor: Mailbox,
        timeout_s: float,
        dirty: DirtySet | None = None,
    ) -> None:
        self._dispatcher = dispatcher
        self._supervisor = supervisor
        self._timeout_ms = timeout_s * 1000
        self._check_every_ms = min(PASSIVATION_CHECK_MS, self._timeout_ms)
        self._next_check_ms = 0.0
        self._on_refusal = self._redirect  # one bound method for all mailboxes
        self._forgotten: deque[tuple[SessionKey, int]] = deque()  # sessions append to it
        self._entries: dict[tuple[str, str], _Entry] = {}
        self._gathered: list[_Entry] = []
        self._passivating: list[PooledMailbox] = []
        self.dirty = dirty or DirtySet()

    def __len__(self) -> int:
        return len(self._entries)

    def count_listening(self) -> int:
        """Count the sessions that accept mail: all but those in quarantine."""
        return sum(not entry.mailbox.is_closed for entry in self._entries.values())

    def restore(self, states: Mapping[SessionKey, SessionState]) -> None:
        """Restore sessions from a checkpoint."""
        for key, state in states.items():
            self._open(key, state).last_event_ms = state.last_event_ms or 0

    def gather(self, batch: EventsBySession) -> None:
        """Hold events back for the next `broadcast`; deliver those that were held back before.

        A session that is not there needs no mailbox for events with which it does not begin.
        """
        self.deliver_gathered()
        for key, events in batch.items():
            entry = self._entries.get(key)
            if entry is None:
                if not can_begin(events):
                    continue
                entry = self._open(SessionKey(*key))
            entry.last_event_ms = events[-1].at_ms
            entry.gathered = events
            self._gathered.append(entry)
        self.dirty.mark([entry.key for entry in self._gathered])

    def deliver_gathered(self) -> None:
        """Deliver the events that no tick followed."""
        if self._gathered:
            self._dispatcher.deliver(
                (entry.mailbox, _envelope(entry, None)) for entry in self._gathered
            )
            self._gathered.clear()

    def deliver(self, batch: EventsBySession) -> None:
        """Deliver its events to each session, under one lock for all."""
        self.gather(batch)
        self.deliver_gathered()

    def broadcast(self, tick: Tick) -> None:
        """Deliver a tick to every session, after the events that were gathered for it."""
        envelope = Envelope(tick)
        self._dispatcher.deliver(
            (entry.mailbox, envelope if entry.gathered is None else _envelope(entry, tick))
            for entry in self._entries.values()
        )
        self._gathered.clear()

    def passivate(self, now_ms: int) -> None:
        """Remove the forgotten sessions; ask those without recent events whether they are.

        Only a session knows whether users are connected. It is asked every 5 minutes at most.
        """
        while self._forgotten:
            self._remove(*self._forgotten.popleft())
        if now_ms < self._next_check_ms:
            return
        self._next_check_ms = now_ms + self._check_every_ms
        envelope = Envelope(CheckForgotten(now_ms, self._add_forgotten))
        self._dispatcher.deliver(
            (entry.mailbox, envelope)
            for entry in self._entries.values()
            if self._is_silent(entry, now_ms)
        )

    def _add_forgotten(self, key: SessionKey, at_ms: int) -> None:
        self._forgotten.append((key, at_ms))

    def _remove(self, key: SessionKey, at_ms: int) -> None:
        """Remove a session that was forgotten at `at_ms`, unless it received events since."""
        entry = self._entries.get(key)
        if entry is not None and self._is_silent(entry, at_ms):
            del self._entries[key]
            self._passivating.append(entry.mailbox)
            self.dirty.mark_ended(entry.key)

    def _is_silent(self, entry: _Entry, at_ms: int) -> bool:
        # A session in quarantine would refuse `Passivate`, so its actor would never stop.
        return entry.last_event_ms <= at_ms - self._timeout_ms and not entry.mailbox.is_closed

    def begin_checkpoint(self) -> CheckpointContents:
        """Begin a checkpoint; return its contents."""
        return self.dirty.begin_checkpoint(entry.key for entry in self._entries.values())

    def request_snapshots(
        self, contents: CheckpointContents, reply_to: Mailbox, now_s: float
    ) -> None:
        """Request a snapshot of each session; the Supervisor sends those in quarantine.

        Sessions that passivate stop after it.
        """
        listening, quarantined = [], []
        for key, entry in self._entries.items():
            has_changed = key in contents.changed
            if not entry.mailbox.is_closed:
                listening.append((entry.mailbox, has_changed))
            elif has_changed:
                quarantined.append(entry.mailbox)
        stopping = self._pop_stoppable()
        listening += [(mailbox, False) for mailbox in stopping]
        sessions = Latch(len(listening) + len(quarantined), now_s, 0.0)
        with_state, without_state = (
            Snapshot(contents.number, has_changed, sessions, reply_to, contents.follows_commit)
            for has_changed in (True, False)
        )
        if not sessions.total:
            reply_to.tell(AllSnapshotsTaken(contents.number))
        for mailbox in quarantined:
            self._supervisor.tell(SnapshotQuarantined(mailbox, with_state))
        changed, unchanged, passivate = map(Envelope, (with_state, without_state, Passivate()))
        self._dispatcher.deliver(
            (mailbox, changed if has_changed else unchanged) for mailbox, has_changed in listening
        )
        self._dispatcher.deliver((mailbox, passivate) for mailbox in stopping)

    def _pop_stoppable(self) -> list[PooledMailbox]:
        """Remove and return the passivating sessions, except those in quarantine."""
        found, self._passivating = self._passivating, []
        stoppable: list[PooledMailbox] = []
        for mailbox in found:
            (self._passivating if mailbox.is_closed else stoppable).append(mailbox)
        return stoppable

    def _open(self, key: SessionKey, state: SessionState | None = None) -> _Entry:
        mailbox = PooledMailbox(str(key), self._dispatcher)
        mailbox.on_refusal = self._on_refusal
        entry = self._entries[key] = _Entry(key, mailbox)
        self._supervisor.tell(StartSession(key, mailbox, state))
        return entry

    def _redirect(self, mailbox: PooledMailbox, message: object) -> None:
        """Pass what a closed mailbox refuses to the Supervisor, which answers instead."""
        if isinstance(message, Snapshot):
            self._supervisor.tell(SnapshotQuarantined(mailbox, message))
        elif isinstance(message, Describe):
            self._supervisor.tell(message.introspect)


def _envelope(entry: _Entry, tick: Tick | None) -> Envelope:
    """Return the events that were gathered for a session, and forget them."""
    batch = EventBatch(entry.gathered or (), tick)
    entry.gathered = None
    return Envelope(batch)
