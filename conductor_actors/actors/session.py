"""The actor of one session: it applies events, and sends a row at each tick."""

from collections.abc import Sequence
from typing import NamedTuple, assert_never

from conductor_actors.actors.anomaly_reports import report_anomalies
from conductor_actors.actors.intervention_reports import report_interventions
from conductor_actors.actors.introspection import describe_session
from conductor_actors.actors.messages import (
    AllSnapshotsTaken,
    CheckForgotten,
    Describe,
    EventBatch,
    InterventionsChanged,
    Passivate,
    RefusedEvents,
    SessionMessage,
    Snapshot,
    SnapshotTaken,
    Tick,
    TickScored,
    TrialsMeasured,
)
from conductor_actors.actors.runtime.base import ActorContext, Poisoned, PooledActor
from conductor_actors.actors.runtime.coalescing_mailbox import ItemMailbox
from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.actors.runtime.mailbox import Mailbox, PooledMailbox
from conductor_actors.domain.checkpoints.encoding import encode_state
from conductor_actors.domain.conducting.conducted_rows import with_interventions
from conductor_actors.domain.conductor.directives import DirectivesByTenant
from conductor_actors.domain.detection import is_watching, with_anomalies
from conductor_actors.domain.draft import apply_events
from conductor_actors.domain.events import Event
from conductor_actors.domain.failures import salvage
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.introspection_protocol import state_figures
from conductor_actors.domain.quotas import SESSION_USERS
from conductor_actors.domain.scoring import ScoreRow, Scoring
from conductor_actors.domain.session_state import SessionState, row_at
from conductor_actors.log_events import TickCompleted, emit
from conductor_actors.ports import Clock


class SessionParts(NamedTuple):
    """What all session actors share."""

    scoring: Scoring
    writer: ItemMailbox[ScoreRow]
    publisher: ItemMailbox[ScoreRow]
    dispatcher: Dispatcher
    clock: Clock
    courier: Mailbox
    conductor: Mailbox


class SessionActor(PooledActor):
    """A switch over `SessionMessage`."""

    def __init__(
        self,
        context: ActorContext[PooledMailbox],
        key: SessionKey,
        state: SessionState,
        parts: SessionParts,
    ) -> None:
        super().__init__(context, parts.dispatcher)
        self._key = key
        self._tenant_id = key.tenant_id
        self._state = state
        self._parts = parts
        self._tick_ms: int | None = None
        self._tick_changes_are_sent = self._tick_changes_are_saved = not is_watching(state)

    def on_receive(self, message: SessionMessage) -> None:
        match message:
            case Tick():
                self._score(message)
            case EventBatch():
                self._handle_events(message)
            case Snapshot():
                self._send_snapshot(message)
            case CheckForgotten(at_ms, report):
                if self._state.is_forgotten_at(at_ms):
                    report(self._key, at_ms)
            case Passivate():
                self.stop()
            case Describe():
                self._describe(message)
            case _:
                assert_never(message)

    def handover(self) -> SessionState:
        """Return a copy of the state from before the failure: a handler that hangs may go on."""
        return self._state.copy()

    def _handle_events(self, batch: EventBatch) -> None:
        poison: Sequence[tuple[Event, Exception]] = ()
        try:
            try:
                poison = self._apply(batch.events)
            finally:  # the tick is due, whatever its events were
                if batch.tick is not None and not self.actor_stopped.is_set():  # not hung
                    self._score(batch.tick)
        finally:  # a row that can't be made hides no event that could not be applied
            if poison:
                raise Poisoned(poison) from poison[0][1]

    def _apply(self, events: Sequence[Event]) -> Sequence[tuple[Event, Exception]]:
        """Apply the events; return those that could not be applied, each with its error."""
        before = self._state.refused_users
        self._state, poison = salvage(apply_events, self._state, events, SessionState.copy)
        if self._state.refused_users > before:
            refused = self._state.refused_users - before
            tenant_id = self._key.tenant_id
            self._context.supervisor.tell(RefusedEvents(tenant_id, SESSION_USERS, refused))
        return poison

    def _score(self, tick: Tick) -> None:
        self._tick_ms = tick.at_ms
        try:
            if self._state.has_row_at(tick.at_ms):
                self._hand_over_row(tick)
        finally:
            if tick.sessions.is_last():
                self._report_completed(tick)

    def _hand_over_row(self, tick: Tick) -> None:
        parts = self._parts
        row = row_at(tick.at_ms, self._tenant_id, self._state, parts.scoring, tick.marks)
        try:
            row = self._judge(row, tick.directives)
        finally:  # a detector that raises costs what it would have found, and not the row
            parts.writer.add(row)
            if tick.is_live:
                parts.publisher.add(row)
        if row.anomalies:
            report_anomalies(row)
        if row.interventions:
            report_interventions(row)
        if self._state.conduct is not None or row.interventions:
            self._tell_conductor(row)

    def _judge(self, row: ScoreRow, directives: DirectivesByTenant) -> ScoreRow:
        """Return the row with what its tick changes in detector and conductor."""
        state, conduct, was_watching = self._state, self._state.conduct, is_watching(self._state)
        try:
            row = with_anomalies(row, state)
            return with_interventions(row, state, directives)
        finally:
            if was_watching or is_watching(state) or state.conduct is not conduct:
                self._tick_changes_are_sent = self._tick_changes_are_saved = False

    def _tell_conductor(self, row: ScoreRow) -> None:
        """Offer what is to be sent until it is known to be, and report what was measured."""
        conduct = self._state.conduct
        changed = {each.id: each for each in row.interventions}
        unsent = {} if conduct is None else {each.id: each for each in conduct.unsent}
        if records := unsent | changed:
            message = InterventionsChanged(*self._key, tuple(records.values()))
            self._parts.courier.tell(message)
        if measured := tuple(each for each in row.interventions if each.is_learnt):
            self._parts.conductor.tell(TrialsMeasured(*self._key, measured))

    def _send_snapshot(self, snapshot: Snapshot) -> None:
        """Send the state if it has changed: by events, or by ticks."""
        if snapshot.follows_commit and self._tick_changes_are_sent:
            self._tick_changes_are_saved = True
        has_ended = self._state.is_forgotten_at(self._tick_ms or 0)
        is_due = snapshot.has_changed or not (self._tick_changes_are_saved or has_ended)
        self._tick_changes_are_sent = True
        send_snapshot(snapshot, self._key, self._state, is_due=is_due)

    def _describe(self, describe: Describe) -> None:
        parts, introspect = self._parts, describe.introspect
        figures = state_figures(self._key.tenant_id, self._state, parts.scoring, self._tick_ms)
        mailbox, now_s = self._context.mailbox, parts.clock()
        introspect.reply_to.tell(
            describe_session(introspect, figures, mailbox, now_s, describe.supervision)
        )

    def _report_completed(self, tick: Tick) -> None:
        if tick.is_live:  # rows of missed ticks are written in larger batches
            self._parts.writer.tell(TickScored())
            self._parts.publisher.tell(TickScored())
        emit(
            TickCompleted(
                tick_at_ms=tick.at_ms,
                sessions=tick.sessions.total,
                duration_s=round(self._parts.clock() - tick.sessions.began_s, 4),
                lag_s=tick.sessions.lag_s,
            )
        )


def send_snapshot(
    snapshot: Snapshot, key: SessionKey, state: SessionState, *, is_due: bool
) -> None:
    """Send a session's state if it is due, and `AllSnapshotsTaken` after the last session."""
    if is_due:
        snapshot.reply_to.tell(SnapshotTaken(snapshot.number, key, encode_state(state)))
    if snapshot.sessions.is_last():
        snapshot.reply_to.tell(AllSnapshotsTaken(snapshot.number))
