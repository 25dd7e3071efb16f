"""When lost sessions are ended, and figures are stored."""

from collections.abc import Callable, Iterator

import pytest
from structlog.typing import EventDict

from conductor_actors.actors import catalog as catalog_module
from conductor_actors.actors.catalog import (
    ADOPTION_INTERVAL_S,
    LOST_MARGIN_MS,
    LOST_SESSIONS_INTERVAL_S,
    SUMMARY_BATCH,
    CatalogActor,
    CatalogScope,
)
from conductor_actors.actors.messages import IntervalElapsed
from conductor_actors.actors.runtime.base import ActorContext
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.domain.identity import SessionKey
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.ports.catalog_port import FinishedSession
from tests.actors.scripted_actors import Ref
from tests.support.fakes.memory_catalog import MemoryCatalog
from tests.support.fakes.recording_mailbox import RecordingMailbox
from tests.support.score_rows import AT_MS

MAX_WAIT_S = 5.0
TIMEOUT_MS = 1_800_000
KEY = SessionKey("default", "keynote")
OLD_MS = AT_MS - TIMEOUT_MS - LOST_MARGIN_MS - 1


class World:
    """A catalog, its actor, a clock, and the tick up to which all rows are stored."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.stored_until_ms: int | None = AT_MS
        self.foreign: set[SessionKey] = set()
        self.catalog = MemoryCatalog()
        self.ref: Ref | None = None

    def start(self, *, summarises: bool = True) -> None:
        scope = CatalogScope(
            lambda key: key not in self.foreign,
            lambda: self.stored_until_ms,
            TIMEOUT_MS,
            summarises,
        )
        mailbox = ThreadMailbox(lambda: self.now_s)
        context = ActorContext("catalog", mailbox, RecordingMailbox())
        self.ref = CatalogActor.start(context, self.catalog, scope)
        self.pass_time(0)

    def pass_time(self, seconds: float) -> None:
        assert self.ref is not None
        self.now_s += seconds
        self.ref.ask(IntervalElapsed(), timeout=MAX_WAIT_S)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    if world.ref is not None:
        world.ref.stop()


def test_a_session_without_a_row_for_long_is_ended_at_its_last(
    world: World, log_lines: list[EventDict]
) -> None:
    world.catalog.live = {KEY: OLD_MS, SessionKey("acme", "x"): OLD_MS + 1}
    world.start()
    assert world.catalog.ended == {KEY: OLD_MS}
    assert [line["sessions"] for line in log_lines if line["event"] == "lost_sessions_ended"] == [1]


def test_no_session_is_ended_while_rows_are_on_their_way(world: World) -> None:
    world.catalog.live = {KEY: OLD_MS}
    world.stored_until_ms = None
    world.start()
    for _ in range(3):
        world.pass_time(LOST_SESSIONS_INTERVAL_S)
    assert world.catalog.ended == {}


def test_ticks_that_come_before_their_rows_end_no_session(world: World) -> None:
    """After an outage of Redis, an hour of ticks follows at once; the rows are written after."""
    world.catalog.live = {KEY: AT_MS}
    world.start()
    world.stored_until_ms = AT_MS + 3_600_000
    world.pass_time(LOST_SESSIONS_INTERVAL_S)
    assert world.catalog.ended == {}
    world.catalog.live = {KEY: AT_MS + 3_600_000}
    world.pass_time(LOST_SESSIONS_INTERVAL_S)
    assert world.catalog.ended == {}


def test_a_row_that_was_on_its_way_at_one_of_two_moments_postpones_the_end(world: World) -> None:
    world.catalog.live = {KEY: OLD_MS}
    world.stored_until_ms = None
    world.start()
    world.stored_until_ms = AT_MS
    world.pass_time(1)
    assert world.catalog.ended == {}
    world.pass_time(1)
    assert world.catalog.ended == {KEY: OLD_MS}


def test_the_sessions_of_another_collector_are_left_to_it(world: World) -> None:
    other = SessionKey("default", "other")
    world.catalog.live = {KEY: OLD_MS, other: OLD_MS}
    world.foreign = {other}
    world.start()
    assert world.catalog.ended == {KEY: OLD_MS}
    assert world.catalog.live == {other: OLD_MS}


def test_every_session_that_has_ended_gets_its_figures(
    world: World, log_lines: list[EventDict]
) -> None:
    ended = [
        FinishedSession(SessionKey("default", f"s{number}"), AT_MS)
        for number in range(2 * SUMMARY_BATCH + 1)
    ]
    world.catalog.unsummarised = list(ended)
    world.start()
    for _ in range(3):
        world.pass_time(0)
    assert world.catalog.summarised == ended
    counts = [line["sessions"] for line in log_lines if line["event"] == "sessions_summarised"]
    assert sum(counts) == len(ended)


def test_one_collector_of_several_stores_the_figures(world: World) -> None:
    world.catalog.live = {KEY: OLD_MS}
    world.start(summarises=False)
    assert world.catalog.ended == {KEY: OLD_MS}
    assert world.catalog.adoptions == 0
    assert world.catalog.summarised == []


def test_figures_that_take_long_leave_time_for_other_messages(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_module, "MAX_PASS_S", 2.0)
    world.catalog.unsummarised = [
        FinishedSession(SessionKey("default", f"s{number}"), AT_MS) for number in range(9)
    ]
    passes = slow_down(world, 1.0)
    world.start()
    for _ in range(9):
        world.pass_time(0)
    assert world.catalog.unsummarised == []
    assert max(passes()) <= 3


def slow_down(world: World, seconds: float) -> Callable[[], list[int]]:
    """Let each summary take so long; return how many each pass has stored."""
    passes: list[int] = []
    find, summarise = world.catalog.find_unsummarised, world.catalog.summarise

    def find_and_count(limit: int) -> object:
        passes.append(0)
        return find(limit)

    def summarise_slowly(session: FinishedSession) -> bool:
        world.now_s += seconds
        passes[-1] += 1
        return summarise(session)

    world.catalog.find_unsummarised = find_and_count  # type: ignore[method-assign, assignment]
    world.catalog.summarise = summarise_slowly  # type: ignore[method-assign]
    return lambda: passes


def test_sessions_of_an_earlier_version_are_added_now_and_then_by_one_collector(
    world: World,
) -> None:
    world.start()
    world.pass_time(1)
    assert world.catalog.adoptions == 1
    world.pass_time(ADOPTION_INTERVAL_S)
    assert world.catalog.adoptions == 2


def test_adding_sessions_that_takes_too_long_stops_nothing_else(world: World) -> None:
    world.catalog.adoption_outage = Unavailable("the deadline has passed")
    world.catalog.unsummarised = [FinishedSession(KEY, AT_MS)]
    world.start()
    assert world.catalog.summarised == [FinishedSession(KEY, AT_MS)]


@pytest.mark.parametrize("outage", [Unavailable("refused"), ConfigError("no right to UPDATE")])
def test_an_outage_is_reported_and_what_was_left_is_done_after_it(
    world: World, outage: Exception, log_lines: list[EventDict]
) -> None:
    world.catalog.unsummarised = [FinishedSession(KEY, AT_MS)]
    world.catalog.outage = outage
    world.start()
    world.catalog.outage = None
    world.pass_time(60)
    assert world.catalog.summarised == [FinishedSession(KEY, AT_MS)]
    outages = [line["event"] for line in log_lines if line["event"].startswith("outage")]
    assert outages == ["outage_began", "outage_ended"]
