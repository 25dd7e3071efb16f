"""A collector whose system actors run on the caller's thread, step by step.

It is wired as `collect` wires it. Nothing happens by itself: there is no timer, and only the
sessions have a thread, for which each step waits.
"""

from typing import Any, Final

from conductor_actors.actors.introspection import IntrospectionActor
from conductor_actors.actors.lease_keeper import LeaseKeeperActor
from conductor_actors.actors.messages import IntervalElapsed, ReadNext
from conductor_actors.actors.runtime.base import SystemActor
from conductor_actors.app.collector import Collector
from conductor_actors.app.collector_ports import Ports
from conductor_actors.settings import Settings

MAX_STEP_S: Final = 300.0
EXCLUDED: Final = (IntrospectionActor, LeaseKeeperActor)  # one polls forever


class SteppedCollector:
    """Starts its actors at once; `read` and `remind` return when all that follows is done."""

    def __init__(self, settings: Settings, ports: Ports) -> None:
        self._actors: dict[str, SystemActor] = {}
        self._replace_threads()
        collector = Collector(settings, ports)
        collector._timer.start = lambda: None  # type: ignore[method-assign]
        collector.start()
        self._mailboxes, self._dispatcher = collector._mailboxes, collector._dispatcher

    def read(self) -> None:
        """Read once."""
        _handle_mail(self._actors["router"])  # the next read is among it
        self._settle()

    def remind(self, name: str) -> None:
        """Send an actor what the timer would send."""
        self._mailboxes[name].remind(IntervalElapsed())
        self._settle()

    def _settle(self) -> None:
        """Handle all mail but the Router's next read."""
        while True:
            assert self._dispatcher.wait_idle(MAX_STEP_S)
            busy = [actor for actor in self._actors.values() if _has_mail(actor)]
            if not busy:
                return
            for actor in busy:
                _handle_mail(actor)

    def _replace_threads(self) -> None:
        def add(actor: Any) -> None:
            if not isinstance(actor, EXCLUDED):
                self._actors[actor._context.name] = actor
            actor._actor_loop_setup()

        SystemActor._start_actor_loop = add  # type: ignore[method-assign, assignment]


def _has_mail(actor: SystemActor) -> bool:
    mailbox: Any = actor.actor_inbox
    return not mailbox.empty() and mailbox.depth() > mailbox.count(ReadNext)


def _handle_mail(actor: SystemActor) -> None:
    """Handle the mail that is there now."""
    mailbox: Any = actor.actor_inbox
    for _ in range(mailbox.depth()):
        if not mailbox.empty():
            actor._handle_receive(mailbox.get().message)
