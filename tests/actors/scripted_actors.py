"""Actors with scripted handlers, in each of our execution models and in Pykka's own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import pykka

from conductor_actors.actors.runtime.base import ActorContext, PooledActor, SystemActor
from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.actors.runtime.mailbox import PooledMailbox, ThreadMailbox
from tests.support.fakes.recording_mailbox import RecordingMailbox

Ref: TypeAlias = pykka.ActorRef[Any]
AnyMailbox: TypeAlias = ThreadMailbox | PooledMailbox


def _nothing() -> None:
    pass


def _echo(message: object) -> object:
    return message


@dataclass
class Script:
    """What an actor does at each point of its life."""

    on_receive: Callable[[Any], object] = _echo
    on_start: Callable[[], object] = _nothing
    on_stop: Callable[[], object] = _nothing
    handover: Callable[[], object] = _nothing


class _Scripted:
    """Play a script; `factor` and `times` are there for proxies."""

    script: Script
    factor = 2

    def on_start(self) -> None:
        self.script.on_start()

    def on_receive(self, message: object) -> object:
        return self.script.on_receive(message)

    def on_stop(self) -> None:
        self.script.on_stop()

    def handover(self) -> object:
        return self.script.handover()

    def times(self, number: int) -> int:
        return number * self.factor


class SystemProbe(_Scripted, SystemActor):
    def __init__(self, context: ActorContext[ThreadMailbox], script: Script) -> None:
        super().__init__(context)
        self.script = script


class PooledProbe(_Scripted, PooledActor):
    def __init__(
        self, context: ActorContext[PooledMailbox], dispatcher: Dispatcher, script: Script
    ) -> None:
        super().__init__(context, dispatcher)
        self.script = script


class PykkaProbe(_Scripted, pykka.ThreadingActor):
    use_daemon_thread = True

    def __init__(self, script: Script) -> None:
        super().__init__()
        self.script = script


class Model(Protocol):
    """An execution model."""

    def start(self, script: Script) -> Ref:
        """Start an actor in a place of its own."""


class PykkaModel:
    def start(self, script: Script) -> Ref:
        return PykkaProbe.start(script)


class SystemModel:
    def __init__(self) -> None:
        self.supervisor = RecordingMailbox()

    def new_mailbox(self) -> AnyMailbox:
        return ThreadMailbox()

    def start(self, script: Script) -> Ref:
        return self.start_in(self.new_mailbox(), script)

    def start_in(self, mailbox: AnyMailbox, script: Script) -> Ref:
        assert isinstance(mailbox, ThreadMailbox)
        return SystemProbe.start(ActorContext("probe", mailbox, self.supervisor), script)


class PooledModel:
    def __init__(self, threads: int = 2) -> None:
        self.supervisor = RecordingMailbox()
        self.dispatcher = Dispatcher(threads)

    def new_mailbox(self) -> AnyMailbox:
        return PooledMailbox("probe", self.dispatcher)

    def start(self, script: Script) -> Ref:
        return self.start_in(self.new_mailbox(), script)

    def start_in(self, mailbox: AnyMailbox, script: Script) -> Ref:
        assert isinstance(mailbox, PooledMailbox)
        context = ActorContext("probe", mailbox, self.supervisor)
        return PooledProbe.start(context, self.dispatcher, script)
