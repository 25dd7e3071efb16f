"""Titles reach the database, or wait in the outbox: none is lost."""

from collections.abc import Iterator

import pytest
from structlog.typing import EventDict

from conductor_actors.actors.messages import (
    Flush,
    Flushed,
    IntervalElapsed,
    TitlesChanged,
    Undeliverable,
)
from conductor_actors.actors.runtime.base import ActorContext
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.actors.title_writer import (
    MAX_TITLES_IN_MEMORY,
    TITLE_BATCH,
    TitleSinks,
    TitleWriterActor,
)
from conductor_actors.domain.backlog import Batch
from conductor_actors.domain.session_titles import SessionDetails, TitleChange
from conductor_actors.errors import ConfigError, Unavailable
from tests.actors.scripted_actors import Ref
from tests.support.fakes.fake_clock import FakeClock
from tests.support.fakes.memory_titles import MemoryTitleOutbox, MemoryTitleTable
from tests.support.fakes.recording_mailbox import RecordingMailbox
from tests.support.score_rows import AT_MS

MAX_WAIT_S = 5.0
AWAY = Unavailable("refused")


def change(title: str, session_id: str = "keynote", at_ms: int = AT_MS) -> TitleChange:
    return TitleChange("default", session_id, at_ms, SessionDetails(title))


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.table, self.outbox = MemoryTitleTable(), MemoryTitleOutbox()
        self.backlog: Batch[TitleChange] = Batch(TITLE_BATCH, 1.0)
        self.dead_letters, self.checkpointer = RecordingMailbox(), RecordingMailbox()
        self.refs: list[Ref] = []
        self.start()

    def start(self) -> None:
        context = ActorContext("title_writer", ThreadMailbox(self.clock), RecordingMailbox())
        sinks = TitleSinks(self.table, self.outbox)
        ref = TitleWriterActor.start(context, sinks, self.backlog, self.dead_letters)
        self.refs.append(ref)

    def ask(self, message: object) -> None:
        self.refs[-1].ask(message, timeout=MAX_WAIT_S)

    def change(self, *changes: TitleChange) -> None:
        self.ask(TitlesChanged(changes))

    def flush(self) -> bool:
        """Request a flush; return whether it is answered."""
        before = len(self.checkpointer.of(Flushed))
        self.ask(Flush(7, self.checkpointer))
        return len(self.checkpointer.of(Flushed)) > before

    def pass_time(self, seconds: float = 60.0) -> None:
        self.clock.advance(seconds)
        self.ask(IntervalElapsed())


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    for ref in world.refs:
        ref.stop()


def test_a_title_is_stored_at_once(world: World, log_lines: list[EventDict]) -> None:
    world.change(change("Keynote"))
    assert world.table.titles == {"keynote": "Keynote"}
    assert ("titles_stored", 1) in [(line["event"], line.get("titles")) for line in log_lines]


def test_a_flush_is_answered_when_all_titles_are_stored(world: World) -> None:
    world.change(change("Keynote"))
    assert world.flush()


def test_a_flush_in_an_outage_of_the_database_puts_titles_in_the_outbox(world: World) -> None:
    world.table.outage = AWAY
    world.change(change("Keynote"))
    assert world.outbox.changes == {}
    assert world.flush()
    assert [*world.outbox.changes.values()] == [change("Keynote")]


@pytest.mark.parametrize("refusal", [AWAY, ConfigError("the server is full")])
def test_no_flush_is_answered_while_neither_takes_a_title(world: World, refusal: Exception) -> None:
    world.table.outage = world.outbox.outage = refusal
    world.change(change("Keynote"))
    assert not world.flush()
    world.outbox.outage = None
    world.pass_time()
    assert world.checkpointer.of(Flushed) == [Flushed(7, by="title_writer")]
    assert [*world.outbox.changes.values()] == [change("Keynote")]


def test_titles_in_the_outbox_are_stored_after_the_outage_before_later_ones(world: World) -> None:
    world.table.outage = AWAY
    world.change(change("first"))
    world.flush()
    world.table.outage = None
    world.change(change("second"))
    world.pass_time()
    assert world.table.titles == {"keynote": "second"}
    assert world.outbox.changes == {}


def test_a_successor_stores_what_its_predecessor_left_in_the_outbox(world: World) -> None:
    world.outbox.append([change("left")])
    world.pass_time()
    assert world.table.titles == {"keynote": "left"}
    assert world.outbox.changes == {}


def test_titles_that_are_many_wait_in_the_outbox_not_in_memory(world: World) -> None:
    world.table.outage = AWAY
    world.change(*(change("x", f"s{number}") for number in range(MAX_TITLES_IN_MEMORY + 1)))
    assert len(world.backlog) == 0
    assert len(world.outbox.changes) == MAX_TITLES_IN_MEMORY + 1


def test_an_actor_that_is_started_again_continues_with_the_same_titles(world: World) -> None:
    world.table.outage = world.outbox.outage = AWAY
    world.change(change("Keynote"))
    world.refs[-1].stop()
    world.table.outage = world.outbox.outage = None
    world.start()
    world.pass_time()
    assert world.table.titles == {"keynote": "Keynote"}


def test_a_title_that_the_database_refuses_is_a_dead_letter(
    world: World, log_lines: list[EventDict]
) -> None:
    world.table.refused = {"bad"}
    world.change(change("Keynote"), change("x", "bad"))
    assert world.table.titles == {"keynote": "Keynote"}
    (letters,) = world.dead_letters.of(Undeliverable)
    assert [(letter.source, letter.entry_id) for letter in letters.letters] == [
        ("title:default/bad", f"{AT_MS}-0")
    ]
    refused = [line for line in log_lines if line["event"] == "titles_refused"]
    assert [(line["titles"], line["reason"]) for line in refused] == [
        (1, "no database can store this")
    ]


def test_an_outage_is_reported_once(world: World, log_lines: list[EventDict]) -> None:
    world.table.outage = AWAY
    world.change(change("Keynote"))
    for _ in range(3):
        world.pass_time(6.0)
    assert [line["event"] for line in log_lines].count("outage_began") == 1
