"""Actors that have ended are freed although their process goes on."""

import gc
import weakref

import pykka

from tests.actors.scripted_actors import PooledModel, Ref, Script

MAX_WAIT_S = 5.0


class Handler:
    """What an actor refers to, such as the state of a session."""

    def __call__(self, message: object) -> object:
        return message


def start(model: PooledModel, handler: Handler) -> Ref:
    ref = model.start(Script(on_receive=handler))
    ref.ask("barrier", timeout=MAX_WAIT_S)
    return ref


def test_the_registry_of_a_process_does_not_grow_by_pooled_actors() -> None:
    model = PooledModel()
    known = len(pykka.ActorRegistry.get_all())
    start(model, Handler())
    assert len(pykka.ActorRegistry.get_all()) == known
    model.dispatcher.close()


def test_the_actors_of_a_closed_dispatcher_are_freed_without_a_garbage_collection() -> None:
    model = PooledModel()
    handlers = [Handler() for _ in range(10)]
    for handler in handlers:
        start(model, handler)
    known = [weakref.ref(handler) for handler in handlers]
    gc.collect()
    gc.disable()
    try:
        del handlers, handler
        model.dispatcher.close()
        assert [each() for each in known] == [None] * 10
    finally:
        gc.enable()
