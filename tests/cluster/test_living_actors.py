"""Whether an owner of a lease is known to be dead."""

from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue

from conductor_actors.cluster.actor_names import actor_of, new_host_name, owner_name
from conductor_actors.cluster.host_messages import EngineView
from conductor_actors.cluster.living_actors import VIEW_MAX_AGE_S, LivingActors
from tests.support.fakes.fake_clock import FakeClock
from tests.support.waiting import wait_until

CLUSTER = "10.0.0.1:6379"
ALIVE, DEAD = new_host_name(), new_host_name()


class EngineViews:
    """Views that an engine returns one after the other; without one, it is away."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self._views: Queue[EngineView] = Queue()
        self.living = LivingActors(CLUSTER, self._views.get, self.clock)

    def answer(self, *names: str) -> None:
        self.clock.advance(0.5)
        view = EngineView(self.clock(), frozenset(names), ())
        self._views.put(view)
        wait_until(lambda: self.living.view() is view)

    def may_break(self, actor: str, cluster: str = CLUSTER) -> bool:
        return self.living.may_break(owner_name(cluster, actor))


@contextmanager
def engine_views() -> Iterator[EngineViews]:
    views = EngineViews()
    yield views
    views.living.close()
    views._views.put(EngineView(0.0, frozenset(), ()))


def test_an_owner_that_is_no_living_actor_is_dead_and_one_that_lives_is_not() -> None:
    with engine_views() as views:
        views.answer(ALIVE)
        assert not views.may_break(DEAD)
        views.answer(ALIVE)
        assert views.may_break(DEAD)
        assert not views.may_break(ALIVE)


def test_a_view_from_before_the_owner_was_seen_says_nothing() -> None:
    with engine_views() as views:
        views.answer(ALIVE)
        assert not views.may_break("conductor-host-new")
        views.answer(ALIVE, "conductor-host-new")
        assert not views.may_break("conductor-host-new")


def test_while_the_engine_is_away_nobody_is_dead() -> None:
    with engine_views() as views:
        assert not views.may_break(DEAD)
        views.answer(ALIVE)
        views.answer(ALIVE)
        assert views.may_break(DEAD)
        views.clock.advance(VIEW_MAX_AGE_S + 0.1)
        assert not views.may_break(DEAD)


def test_another_process_or_cluster_is_not_this_engine_s_to_judge() -> None:
    with engine_views() as views:
        views.answer(ALIVE)
        views.answer(ALIVE)
        assert not views.may_break(DEAD, cluster="10.0.0.2:6379")
        assert not views.living.may_break("machine:4711:ab12cd34")
        assert not views.living.may_break("")
    assert actor_of(CLUSTER, owner_name(CLUSTER, ALIVE)) == ALIVE
    assert actor_of(CLUSTER, owner_name(CLUSTER, "other-actor")) is None
