"""The execution models, a harness for sessions, and a stop of every actor that a test leaves."""

from collections.abc import Iterator

import pykka
import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.actors.session_table import SessionTable
from tests.actors.pooled_handlers import MAX_WAIT_S
from tests.actors.scripted_actors import Model, PooledModel, PykkaModel, SystemModel
from tests.actors.session_harness import TIMEOUT_S, SessionHarness


@pytest.fixture(autouse=True)
def log_lines() -> Iterator[list[EventDict]]:
    with capture_logs() as lines:
        yield lines


@pytest.fixture(autouse=True)
def _no_actor_stays(log_lines: list[EventDict]) -> Iterator[None]:
    yield
    for ref in pykka.ActorRegistry.get_all():
        stop = ref.stop(block=False)
        stop.get(timeout=MAX_WAIT_S)
    del log_lines  # kept until then for their last lines


@pytest.fixture(params=["pykka", "system", "pooled"])
def any_model(request: pytest.FixtureRequest) -> Iterator[Model]:
    """Pykka's own model beside ours: what holds for all is what Pykka promises."""
    if request.param == "pykka":
        yield PykkaModel()
    else:
        yield from _ours(request.param)


@pytest.fixture(params=["pykka", "system"])
def threaded_model(request: pytest.FixtureRequest) -> Model:
    """The models whose actors are in Pykka's registry: there are few of them."""
    return PykkaModel() if request.param == "pykka" else SystemModel()


@pytest.fixture(params=["system", "pooled"])
def model(request: pytest.FixtureRequest) -> Iterator[SystemModel | PooledModel]:
    yield from _ours(request.param)


@pytest.fixture
def dispatcher() -> Iterator[Dispatcher]:
    """One thread for all: if a test loses it, no handler runs any more."""
    pool = Dispatcher(threads=1)
    yield pool
    pool.close()


@pytest.fixture
def sessions(dispatcher: Dispatcher) -> SessionHarness:
    return SessionHarness(dispatcher)


@pytest.fixture
def session_table(sessions: SessionHarness) -> SessionTable:
    return SessionTable(sessions.dispatcher, sessions.supervisor_mailbox, TIMEOUT_S)


def _ours(name: str) -> Iterator[SystemModel | PooledModel]:
    if name == "system":
        yield SystemModel()
    else:
        pooled = PooledModel()
        yield pooled
        pooled.dispatcher.close()
