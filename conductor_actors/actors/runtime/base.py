"""The base classes of actors: their mailbox outlives them, and the Supervisor learns their end.

They change what Pykka does:
- `tell` to a dead actor raises in the sender, so senders hold mailboxes.
- A crash silently drops the rest of the inbox, so the teardown leaves the mailbox alone.
- A failing `on_start` calls no hook, so it is caught here.
- `SystemExit` in one actor stops all of them, or silently ends its thread; here it is a failure.
- An `ActorRef` copies the reference to the inbox when it is created, so ours exists before.
Errors under `ask` go to the caller and don't stop the actor, as in Pykka.
"""

import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Generic, NamedTuple, TypeVar

import pykka
from pykka.messages import _ActorStop

from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.actors.runtime.mailbox import (
    Envelope,
    Mailbox,
    PooledMailbox,
    ThreadMailbox,
)
from conductor_actors.threads import InheritingThread

M = TypeVar("M", ThreadMailbox, PooledMailbox)

_NO_MESSAGE: Final = None

STOP_POLL_S: Final = 0.1


class ActorContext(NamedTuple, Generic[M]):
    """The arguments with which an actor is started, and its successor after a failure."""

    name: str
    mailbox: M
    supervisor: Mailbox


@dataclass(frozen=True, slots=True)
class ChildFailed:
    """To the Supervisor: an actor failed with `error`; `handover` is for its successor."""

    name: str
    mailbox: object
    message: object
    error: BaseException
    handover: object


@dataclass(frozen=True, slots=True)
class ChildStopped:
    """To the Supervisor: an actor has stopped, as it was asked to."""

    name: str
    mailbox: object


class Poisoned(Exception):  # noqa: N818 - the field says "poison message"
    """Some items of a message could not be handled and were skipped; the others were handled."""

    def __init__(self, items: Sequence[tuple[object, Exception]]) -> None:
        super().__init__(f"{len(items)} skipped, the first: {items[0][1]!r}")
        self.items = items


class Hung(Exception):  # noqa: N818 - reported, and never raised
    """A handler did not return; its thread can't be ended, only abandoned."""


class _WrappedExit(Exception):  # noqa: N818 - an exit, not an error
    """Wraps `SystemExit` and the like, on which Pykka would stop every actor."""


class _SupervisedActor(pykka.Actor):
    """Receives mail from the context's mailbox, and reports its end to the Supervisor."""

    def __init__(self, context: ActorContext[Any]) -> None:
        self._context = context
        self._mailbox = context.mailbox  # looked up once, because every message needs it
        self._message: object = _NO_MESSAGE
        self._error: BaseException | None = None
        self._register_identity()

    def _register_identity(self) -> None:
        """Set the attributes by which Pykka knows an actor."""
        super().__init__()

    def handover(self) -> object:
        """Return the state from before the failure, for the successor."""
        return None

    def _create_actor_inbox(self) -> Any:  # type: ignore[override]  # noqa: ANN401
        return self._context.mailbox

    def _actor_loop_setup(self) -> None:
        try:
            super()._actor_loop_setup()
        except BaseException as error:  # noqa: BLE001 - Pykka lets it end the thread
            self._handle_failure(type(error), error, error.__traceback__)

    def _stop(self) -> None:
        try:
            super()._stop()
        except BaseException as error:  # noqa: BLE001 - Pykka stops every actor
            self._handle_failure(type(error), error, error.__traceback__)

    def _handle_receive(self, message: Any) -> Any:  # noqa: ANN401
        self._message = message
        observer = self._mailbox.observer
        try:
            if observer is None:
                return super()._handle_receive(message)
            with observer(self, message):
                return super()._handle_receive(message)
        except Exception:
            raise
        except BaseException as error:
            raise _WrappedExit(repr(error)) from error

    def _handle_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        del exception_type, traceback
        pykka.ActorRegistry.unregister(self.actor_ref)
        self.actor_stopped.set()
        self._error = exception_value

    def _actor_loop_teardown(self) -> None:
        """Report the end to the Supervisor. After a failure the mail is left to the successor."""
        name, mailbox, supervisor = self._context
        if self._error is None:
            mailbox.retire()
            supervisor.tell(ChildStopped(name, mailbox))
        else:
            handover = self.handover()
            supervisor.tell(ChildFailed(name, mailbox, self._message, self._error, handover))


class SystemActor(_SupervisedActor, pykka.ThreadingActor):
    """An actor with its own thread, because it waits for servers."""

    use_daemon_thread = True  # a thread that hangs in a call must not hold up the exit

    def _start_actor_loop(self) -> None:
        InheritingThread(self._actor_loop, type(self).__name__).start()

    def _receive_until(self, is_done: Callable[[], bool]) -> None:
        """Handle mail, in `on_stop`, until `is_done`."""
        mailbox = self._context.mailbox
        while not is_done():
            mailbox.wait(STOP_POLL_S)
            if not mailbox.empty():
                self.on_receive(mailbox.get().message)


class _Flag:
    """A `threading.Event` that takes 48 bytes instead of 1,300: all share one condition."""

    __slots__ = ("was_set",)
    _any_was_set: Final = threading.Condition()

    def __init__(self) -> None:
        self.was_set = False

    def is_set(self) -> bool:
        return self.was_set

    def set(self) -> None:
        with self._any_was_set:
            self.was_set = True
            self._any_was_set.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        with self._any_was_set:
            return self._any_was_set.wait_for(self.is_set, timeout)


class _PooledRef(pykka.ActorRef[Any]):
    """An `ActorRef` that takes what it is asked for from its actor, which it keeps.

    That takes 200 bytes less for each session than a weak reference and four copied attributes.
    """

    def __init__(self, actor: "PooledActor") -> None:
        self._actor = actor

    @property
    def actor_class(self) -> type[Any]:  # type: ignore[override]
        return type(self._actor)

    @property
    def actor_urn(self) -> str:  # type: ignore[override]
        return self._actor.actor_urn

    @property
    def actor_inbox(self) -> Any:  # type: ignore[override]  # noqa: ANN401
        return self._actor.actor_inbox

    @property
    def actor_stopped(self) -> Any:  # type: ignore[override]  # noqa: ANN401
        return self._actor.actor_stopped

    @property
    def _actor_weakref(self) -> Any:  # type: ignore[override]  # noqa: ANN401
        return weakref.ref(self._actor)


class PooledActor(_SupervisedActor):
    """An actor that never blocks, so a dispatcher can run thousands of them on a few threads."""

    actor_stopped: _Flag  # type: ignore[assignment]

    @classmethod
    def start(cls, *args: Any, **kwargs: Any) -> pykka.ActorRef[Any]:  # noqa: ANN401
        """Start an actor, which Pykka's registry does not know.

        The registry is one list for the process, from which the end of each of many thousand
        actors would remove it in linear time, and which would keep those whose dispatcher closed.
        """
        actor = cls(*args, **kwargs)
        actor._start_actor_loop()
        return actor.actor_ref

    def __init__(self, context: ActorContext[PooledMailbox], dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._is_set_up = False
        super().__init__(context)

    def _register_identity(self) -> None:
        """Set what Pykka's initializer sets, which waits for random bytes and makes two locks.

        That cost a fifth of a start, and many thousand sessions can begin at once.
        """
        self.actor_inbox = self._create_actor_inbox()
        self.actor_stopped = _Flag()
        self._actor_ref = _PooledRef(self)

    @property
    def actor_urn(self) -> str:  # type: ignore[override]
        """The name that Pykka finds it by, unique among the actors that there are."""
        return f"urn:actor:{id(self)}"

    @property
    def mailbox(self) -> PooledMailbox:
        """The mailbox, which a successor of the actor takes over."""
        mailbox: PooledMailbox = self._context.mailbox
        return mailbox

    def release(self) -> None:
        """Drop the reference of the actor to itself, after which it is freed with its last user."""
        del self._actor_ref

    def report_hung(self, running_s: float) -> None:
        """Report, from another thread, a handler that does not return."""
        pykka.ActorRegistry.unregister(self.actor_ref)
        self.actor_stopped.set()  # ends the loop if the handler ever returns
        name, mailbox, supervisor = self._context
        hung = Hung(f"its handler did not return within {running_s:.0f} s")
        supervisor.tell(ChildFailed(name, mailbox, self._message, hung, self.handover()))

    @staticmethod
    def _create_future() -> pykka.Future[Any]:
        return pykka.ThreadingFuture()

    def _start_actor_loop(self) -> None:
        self._dispatcher.attach(self._context.mailbox, self)

    def take_turn(self) -> None:
        """Handle the mail of a turn, until the turn is over or the actor stops."""
        if not self._is_set_up:
            self._is_set_up = True
            self._actor_loop_setup()
        mailbox, stopped = self._mailbox, self.actor_stopped
        while not stopped.was_set:
            envelope = mailbox.next_in_turn() if mailbox.turn else None
            if envelope is None:
                return
            try:
                if envelope.reply_to is None and mailbox.observer is None:
                    self._message = message = envelope.message
                    if type(message) is _ActorStop:
                        self._stop()
                    else:
                        self.on_receive(message)
                else:
                    self._reply(envelope)
            except BaseException as error:  # noqa: BLE001 - as Pykka's loop, but for exits
                self._fail(error)
        if self._dispatcher.detach(mailbox):
            self._actor_loop_teardown()
            self.release()

    def _reply(self, envelope: Envelope) -> None:
        """Handle a message; if it is an `ask`, reply with the result or the error."""
        try:
            response = self._handle_receive(envelope.message)
        except Exception:
            if envelope.reply_to is None:
                raise
            envelope.reply_to.set_exception()
        else:
            if envelope.reply_to is not None:
                envelope.reply_to.set(response)

    def _fail(self, error: BaseException) -> None:
        """Stop because of an error, as Pykka does; an exit is a failure like any other."""
        if not isinstance(error, Exception):
            error, exit_error = _WrappedExit(repr(error)), error
            error.__cause__ = exit_error
        self._handle_failure(type(error), error, error.__traceback__)
        try:
            self.on_failure(type(error), error, error.__traceback__)
        except Exception as failure:  # noqa: BLE001
            self._handle_failure(type(failure), failure, failure.__traceback__)
