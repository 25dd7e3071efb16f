"""The actor that commits checkpoints: one at a time, each after the rows that precede it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, assert_never

from conductor_actors.actors.messages import (
    AllSnapshotsTaken,
    Barrier,
    BarrierPassed,
    CheckpointerMessage,
    Committed,
    Flush,
    Flushed,
    IntervalElapsed,
    RequireFull,
    SnapshotTaken,
)
from conductor_actors.actors.runtime.base import ActorContext, SystemActor
from conductor_actors.actors.runtime.mailbox import Mailbox, ThreadMailbox
from conductor_actors.domain.checkpoints.encoding import encode_header
from conductor_actors.domain.identity import SessionKey
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import CheckpointCommitted, CheckpointPostponed, emit
from conductor_actors.ports import Checkpoint, CheckpointStore

CHECKPOINT_TIMEOUT_S: Final = 30.0  # one that takes longer is given up for the next


@dataclass(slots=True)
class _Pending:
    """A checkpoint in progress: its contents so far, and the mailboxes still to be flushed."""

    barrier: BarrierPassed
    began_s: float
    unflushed: list[Mailbox]
    states: dict[SessionKey, bytes] = field(default_factory=dict)


class CheckpointerActor(SystemActor):
    """A switch over `CheckpointerMessage`.

    It requests a barrier from the Router, collects the sessions' states, flushes what Writer and
    Publisher received before the barrier, and then commits.
    """

    def __init__(
        self,
        context: ActorContext[ThreadMailbox],
        store: CheckpointStore,
        router: Mailbox,
        to_flush: Sequence[Mailbox],
        is_aborted: Callable[[], bool],
    ) -> None:
        super().__init__(context)
        self._store = store
        self._router = router
        self._to_flush = to_flush
        self._is_aborted = is_aborted
        self._clock = context.mailbox.clock
        self._requested_s = 0.0
        self._is_requested = False
        self._pending: _Pending | None = None

    def on_start(self) -> None:
        self._request()  # at once: without a checkpoint nothing that was read can be recovered

    def on_receive(self, message: CheckpointerMessage) -> None:
        match message:
            case IntervalElapsed():
                self._request_next()
            case BarrierPassed():
                self._begin_checkpoint(message)
            case SnapshotTaken(number, key, state):
                pending = self._pending_of(number)
                if pending is not None:
                    pending.states[key] = state
            case AllSnapshotsTaken(number) | Flushed(number):
                pending = self._pending_of(number)
                if pending is not None:
                    self._continue(pending)
            case _:
                assert_never(message)

    def _request_next(self) -> None:
        """Request the next checkpoint, unless the one in progress still has time."""
        is_late = self._clock() - self._requested_s >= CHECKPOINT_TIMEOUT_S
        if self._pending is not None and is_late:
            self._postpone(f"not ready within {CHECKPOINT_TIMEOUT_S:g} s")
        if not self._is_requested or is_late:
            self._request()

    def _request(self) -> None:
        self._is_requested, self._requested_s = True, self._clock()
        self._router.tell(Barrier())

    def _begin_checkpoint(self, barrier: BarrierPassed) -> None:
        """Begin a checkpoint. The Router begins the last one of a drain without a request."""
        self._is_requested = True
        self._pending = _Pending(barrier, self._clock(), [*self._to_flush])

    def _pending_of(self, number: int) -> _Pending | None:
        pending = self._pending
        return pending if pending and pending.barrier.header.number == number else None

    def _continue(self, pending: _Pending) -> None:
        if pending.unflushed:
            flush = Flush(pending.barrier.header.number, self._context.mailbox)
            pending.unflushed.pop(0).tell(flush)
        else:
            self._commit(pending)

    def _commit(self, pending: _Pending) -> None:
        barrier = pending.barrier
        checkpoint = Checkpoint(
            encode_header(barrier.header), pending.states, barrier.ended, is_full=barrier.is_full
        )
        try:
            is_committed = self._store.commit(checkpoint)
        except (Unavailable, ConfigError) as error:  # a restart would not help
            self._postpone(str(error))
            return
        if is_committed:
            self._finish(pending, checkpoint)
        else:
            self._postpone("the stored checkpoint is gone, the next one must be full")
            self._router.tell(RequireFull())
            self._request()

    def _finish(self, pending: _Pending, checkpoint: Checkpoint) -> None:
        self._pending, self._is_requested = None, False
        self._router.tell(Committed(pending.barrier.header.number))
        emit(
            CheckpointCommitted(
                number=pending.barrier.header.number,
                sessions=len(checkpoint.sessions),
                ended=len(checkpoint.ended),
                size_bytes=checkpoint.size_bytes(),
                duration_s=round(self._clock() - pending.began_s, 3),
            )
        )

    def _postpone(self, reason: str) -> None:
        self._pending, self._is_requested = None, False
        emit(CheckpointPostponed(reason=reason))

    def on_stop(self) -> None:
        """Finish the checkpoint in progress, unless the drain is aborted."""
        self._receive_until(lambda: self._pending is None or self._is_aborted())
