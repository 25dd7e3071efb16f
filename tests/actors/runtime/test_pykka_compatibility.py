"""What Pykka documents of every actor: it holds for our execution models as for its own."""

import gc
import threading
from collections.abc import Callable

import pykka
import pytest

from tests.actors.scripted_actors import Model, Ref, Script
from tests.support.waiting import wait_until

MAX_WAIT_S = 5.0
AT_ONCE_S = 0.01


def failing(message: object) -> object:
    raise ValueError(message)


class Gate:
    """A handler that can be blocked: it says that it was entered, and waits to be let go."""

    def __init__(self) -> None:
        self._entered = threading.Event()
        self._open = threading.Event()

    def __call__(self, message: object) -> object:
        self._entered.set()
        assert self._open.wait(MAX_WAIT_S)
        return message

    def wait_entered(self) -> None:
        assert self._entered.wait(MAX_WAIT_S)

    def open(self) -> None:
        self._open.set()


def wait_dead(ref: Ref) -> None:
    assert ref.actor_stopped.wait(MAX_WAIT_S)


def test_waiting_for_the_end_of_an_actor_returns_at_its_end(any_model: Model) -> None:
    ref = any_model.start(Script())
    waits, woken = threading.Event(), threading.Event()

    def wait() -> None:
        waits.set()
        ref.actor_stopped.wait()
        woken.set()

    threading.Thread(target=wait, daemon=True).start()
    assert waits.wait(MAX_WAIT_S)
    ref.ask("barrier", timeout=MAX_WAIT_S)  # meanwhile it has begun to wait
    ref.stop()
    assert woken.wait(MAX_WAIT_S)


def test_ask_returns_the_result_of_the_handler(any_model: Model) -> None:
    ref = any_model.start(Script(on_receive=lambda number: number + 1))
    assert ref.ask(41, timeout=MAX_WAIT_S) == 42


def test_ask_without_blocking_returns_a_future(any_model: Model) -> None:
    ref = any_model.start(Script())
    futures = [ref.ask(number, block=False) for number in range(3)]
    assert [future.get(timeout=MAX_WAIT_S) for future in futures] == [0, 1, 2]


def test_ask_gives_up_after_its_timeout(any_model: Model) -> None:
    gate = Gate()
    ref = any_model.start(Script(on_receive=gate))
    with pytest.raises(pykka.Timeout):
        ref.ask("too slow", timeout=AT_ONCE_S)
    gate.open()


def test_messages_are_handled_in_the_order_they_were_sent(any_model: Model) -> None:
    handled: list[object] = []
    ref = any_model.start(Script(on_receive=handled.append))
    for number in range(200):
        ref.tell(number)
    ref.ask("barrier", timeout=MAX_WAIT_S)
    assert handled == [*range(200), "barrier"]


def test_an_error_under_ask_is_raised_in_the_caller_and_the_actor_continues(
    any_model: Model,
) -> None:
    ref = any_model.start(Script(on_receive=lambda number: 1 / number))
    with pytest.raises(ZeroDivisionError):
        ref.ask(0, timeout=MAX_WAIT_S)
    assert ref.is_alive()
    assert ref.ask(2, timeout=MAX_WAIT_S) == 0.5


def test_an_error_under_tell_ends_the_actor_without_on_stop(any_model: Model) -> None:
    stopped = threading.Event()
    ref = any_model.start(Script(on_receive=failing, on_stop=stopped.set))
    ref.tell("bad")
    wait_dead(ref)
    assert not ref.is_alive()
    assert not stopped.is_set()


def test_on_start_runs_without_a_message(any_model: Model) -> None:
    started = threading.Event()
    any_model.start(Script(on_start=started.set))
    assert started.wait(MAX_WAIT_S)


def test_on_start_runs_once_and_before_every_message(any_model: Model) -> None:
    life: list[object] = []
    ref = any_model.start(Script(on_start=lambda: life.append("start"), on_receive=life.append))
    ref.ask(1, timeout=MAX_WAIT_S)
    ref.ask(2, timeout=MAX_WAIT_S)
    assert life == ["start", 1, 2]


def test_a_failing_on_start_ends_the_actor(any_model: Model) -> None:
    ref = any_model.start(Script(on_start=lambda: failing("start")))
    wait_dead(ref)
    assert not ref.is_alive()


def test_an_actor_stops_after_earlier_mail_and_runs_on_stop(any_model: Model) -> None:
    life: list[object] = []
    ref = any_model.start(Script(on_receive=life.append, on_stop=lambda: life.append("stop")))
    ref.tell(1)
    ref.tell(2)
    assert ref.stop(timeout=MAX_WAIT_S)
    assert life == [1, 2, "stop"]
    assert not ref.is_alive()


def test_an_actor_can_stop_itself(any_model: Model) -> None:
    refs: list[Ref] = []
    refs.append(any_model.start(Script(on_receive=lambda _: refs[0].stop(block=False))))
    refs[0].tell("stop yourself")
    wait_dead(refs[0])


def test_a_dead_actor_refuses_mail_and_has_nothing_to_stop(any_model: Model) -> None:
    ref = any_model.start(Script())
    ref.stop(timeout=MAX_WAIT_S)
    with pytest.raises(pykka.ActorDeadError):
        ref.tell("late")
    with pytest.raises(pykka.ActorDeadError):
        ref.ask("late", timeout=MAX_WAIT_S)
    assert not ref.stop(timeout=MAX_WAIT_S)


def test_an_ask_after_a_stop_raises_that_the_actor_is_dead(any_model: Model) -> None:
    gate = Gate()
    ref = any_model.start(Script(on_receive=gate))
    ref.tell("hold")
    ref.stop(block=False)
    late = [ref.ask("late", block=False) for _ in range(100)]
    gate.open()
    for future in late:
        with pytest.raises(pykka.ActorDeadError):
            future.get(timeout=MAX_WAIT_S)


def test_several_stops_all_return_true(any_model: Model) -> None:
    gate = Gate()
    ref = any_model.start(Script(on_receive=gate))
    ref.tell("hold")
    stops = [ref.stop(block=False) for _ in range(3)]
    gate.open()
    assert [stop.get(timeout=MAX_WAIT_S) for stop in stops] == [True, True, True]


@pytest.mark.parametrize(
    "end", [lambda ref: ref.stop(block=False), lambda ref: ref.tell("bad")], ids=["stop", "fail"]
)
def test_the_registry_knows_an_actor_while_it_lives(
    threaded_model: Model, end: Callable[[Ref], object]
) -> None:
    ref = threaded_model.start(Script(on_receive=failing))
    assert pykka.ActorRegistry.get_by_urn(ref.actor_urn) is ref
    end(ref)
    wait_dead(ref)
    assert pykka.ActorRegistry.get_by_urn(ref.actor_urn) is None


def test_stop_all_stops_every_actor(threaded_model: Model) -> None:
    refs = [threaded_model.start(Script()) for _ in range(3)]
    assert pykka.ActorRegistry.stop_all(timeout=MAX_WAIT_S) == [True, True, True]
    assert not any(ref.is_alive() for ref in refs)


def test_a_broadcast_reaches_every_actor(threaded_model: Model) -> None:
    handled: list[object] = []
    refs = [threaded_model.start(Script(on_receive=handled.append)) for _ in range(3)]
    pykka.ActorRegistry.broadcast("all")
    for ref in refs:
        ref.ask("barrier", timeout=MAX_WAIT_S)
    assert handled.count("all") == 3


def test_a_proxy_calls_methods_and_reads_and_sets_attributes(any_model: Model) -> None:
    proxy = any_model.start(Script()).proxy()
    assert proxy.times(21).get(timeout=MAX_WAIT_S) == 42
    proxy.factor = 3
    assert proxy.factor.get(timeout=MAX_WAIT_S) == 3
    assert proxy.times(21).get(timeout=MAX_WAIT_S) == 63


def test_an_error_in_a_proxys_method_goes_to_the_caller(any_model: Model) -> None:
    ref = any_model.start(Script())
    with pytest.raises(TypeError):
        ref.proxy().times(None).get(timeout=MAX_WAIT_S)
    assert ref.is_alive()


def test_there_is_no_proxy_of_a_dead_actor(any_model: Model) -> None:
    ref = any_model.start(Script())
    ref.stop(timeout=MAX_WAIT_S)
    with pytest.raises(pykka.ActorDeadError):
        ref.proxy()


def test_an_actor_handles_one_message_at_a_time(any_model: Model) -> None:
    gate = Gate()
    handled: list[object] = []

    def handle(message: object) -> None:
        gate(message)
        handled.append(message)

    ref = any_model.start(Script(on_receive=handle))
    ref.tell("first")
    gate.wait_entered()
    ref.tell("second")
    assert handled == []
    gate.open()
    ref.ask("barrier", timeout=MAX_WAIT_S)
    assert handled == ["first", "second", "barrier"]


def test_an_actor_has_what_an_actor_of_pykka_has(any_model: Model) -> None:
    actor, ours = PlainActor.start(), any_model.start(Script())
    for attribute in ("actor_urn", "actor_inbox", "actor_ref", "actor_stopped"):
        assert hasattr(ours._actor_weakref(), attribute)
    assert [name for name in vars(actor) if not hasattr(ours, name)] == []
    beside = ours._actor_weakref()
    assert [name for name in vars(actor._actor_weakref()) if not hasattr(beside, name)] == []
    assert len({any_model.start(Script()).actor_urn for _ in range(10)}) == 10
    actor.stop()


def test_an_actor_that_has_stopped_is_freed_at_once(any_model: Model) -> None:
    ref = any_model.start(Script())
    actor = ref._actor_weakref
    gc.disable()
    try:
        ref.stop()
        wait_dead(ref)
        del ref
        wait_until(lambda: actor() is None)
    finally:
        gc.enable()


class PlainActor(pykka.ThreadingActor):
    """An actor without anything of ours."""
