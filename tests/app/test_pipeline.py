"""The whole collector, from entries to rows: the same as a replay of them, whatever happens."""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import pykka
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from structlog.typing import EventDict

from conductor_actors.app.collector import Collector, Ports
from conductor_actors.domain.checkpoints import Recovered, recover
from conductor_actors.domain.events import DECODERS, Decoded
from conductor_actors.domain.intake import Entry
from conductor_actors.domain.replayer import Replayer, Rules
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.ports import ReadResult, WriteResult
from conductor_actors.settings import Settings
from conductor_actors.simulate import Simulation, bulk
from tests.actors.session_events import poison
from tests.support.event_samples import CHAT, CLOSED, LIVE, REACTION, SYNC, VOTE
from tests.support.fakes.memory_checkpoints import MemoryCheckpoints
from tests.support.fakes.memory_dead_letters import MemoryDeadLetterQueue
from tests.support.fakes.memory_introspection_channel import MemoryIntrospectionChannel
from tests.support.fakes.memory_lease import MemoryLease
from tests.support.fakes.memory_outbox import MemoryOutbox
from tests.support.fakes.memory_publisher import MemoryUpdatePublisher
from tests.support.fakes.memory_retention import MemoryRetention
from tests.support.fakes.memory_store import MemoryStore
from tests.support.fakes.scripted_source import ScriptedSource, Step
from tests.support.score_rows import AT_MS, row

TICK_MS = 5000
PATIENCE_S = 10.0

Rows = dict[tuple[str, str, int], bytes]


@pytest.fixture(autouse=True)
def log_lines() -> Iterator[list[EventDict]]:
    with capture_logs() as lines:
        yield lines


@pytest.fixture(scope="module")
def simulated() -> list[Entry]:
    """Four minutes of twelve sessions of two tenants."""
    simulation = Simulation(sessions=12, seed=7, tenants=("default", "acme"))
    entries: list[Entry] = []
    for step in range(4 * 60 * 4):
        sent = simulation.step(AT_MS / 1000 + step / 4, 0.25)
        entries += [(AT_MS + step * 250, number, *each) for number, each in enumerate(sent)]
    return entries


class Run:
    """A collector on fakes, once from start to drain; it goes on from a checkpoint, if any."""

    def __init__(
        self,
        script: Sequence[Step] | ScriptedSource,
        store: MemoryStore | None = None,
        checkpoints: MemoryCheckpoints | None = None,
        **variables: float,
    ) -> None:
        self.source = script if isinstance(script, ScriptedSource) else ScriptedSource(script)
        self.publisher = MemoryUpdatePublisher()
        self.dead_letters = MemoryDeadLetterQueue()
        self.store = store or MemoryStore()
        self.checkpoints = checkpoints or MemoryCheckpoints()
        ports = Ports(
            self.source,
            self.store,
            self.publisher,
            self.dead_letters,
            MemoryRetention(),
            MemoryLease(),
            MemoryOutbox(),
            self.checkpoints,
            MemoryIntrospectionChannel(),
        )
        settings = settings_of(**variables)
        self.collector = Collector(settings, ports, self._recovered(settings))

    def _recovered(self, settings: Settings) -> Recovered | None:
        found = self.checkpoints.load()
        if found is None:
            return None
        recovered = recover(found.header, found.sessions, settings.session_rules())
        self.source.resume(recovered.header.position)
        return recovered

    def play(self) -> Rows:
        """Read the whole script, drain, and return what was stored."""
        self.start()
        self.source.wait_played()
        return self.drain()

    def start(self) -> None:
        self.collector.start()

    def drain(self) -> Rows:
        assert self.collector.drain() == 0
        for ref in pykka.ActorRegistry.get_all():  # the process would end now
            ref.stop(block=False)
            pykka.ActorRegistry.unregister(ref)
        return packed(self.store.rows.values())


def settings_of(**variables: float) -> Settings:
    values: dict[str, Any] = variables
    return Settings(**values)


def packed(rows: Any) -> Rows:
    """Make rows comparable bit for bit."""
    return {(row.tenant_id, row.session_id, row.at_ms): msgspec.msgpack.encode(row) for row in rows}


def replayed(entries: Sequence[Entry], **variables: float) -> Rows:
    rules, rows = settings_of(**variables), list[ScoreRow]()
    replay = Replayer(
        Rules(rules.intake_rules(), rules.session_rules(), rules.scoring()), rows.extend
    )
    assert replay.run(entries).failed == 0
    return packed(rows)


def reads_of(entries: Sequence[Entry], size: int) -> list[ReadResult]:
    """Read so many at once; the last read comes to the first tick after the last entry."""
    last_ms = entries[-1][0]
    end_ms = last_ms - last_ms % TICK_MS + TICK_MS
    cut = [entries[start : start + size] for start in range(0, len(entries), size)]
    return [
        *(ReadResult(part, part[-1][0], part[-1][0]) for part in cut),
        ReadResult((), end_ms, end_ms),
    ]


class Noticing(MemoryStore):
    """Notice the first write."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def write(self, rows: Sequence[ScoreRow]) -> WriteResult:
        self.written.set()
        return super().write(rows)


@pytest.mark.parametrize(("size", "threads"), [(1, 1), (7, 2), (1000, 4), (10**6, 1)])
def test_the_rows_are_those_of_a_replay_bit_for_bit(
    simulated: list[Entry], size: int, threads: int
) -> None:
    entries = simulated if size > 1 else simulated[:2000]
    run = Run(reads_of(entries, size), dispatcher_threads=threads)
    assert run.play() == replayed(entries)


def test_every_row_is_announced_once_and_in_the_order_of_its_sessions_ticks(
    simulated: list[Entry],
) -> None:
    run = Run(reads_of(simulated, 50))
    stored = run.play()
    announced = [(row.tenant_id, row.session_id, row.at_ms) for row in run.publisher.rows]
    assert sorted(announced) == sorted(stored)
    for key in {key[:2] for key in stored}:
        ticks = [at_ms for *session, at_ms in announced if tuple(session) == key]
        assert ticks == sorted(ticks)
    assert run.source.closed


def test_a_row_is_stored_soon_though_its_batch_is_not_full(simulated: list[Entry]) -> None:
    store = Noticing()
    run = Run(reads_of(simulated[:200], 50), store, batch_age_s=0.01, batch_rows=10**6)
    run.start()
    assert store.written.wait(PATIENCE_S)
    run.drain()


def test_rows_that_were_computed_late_are_stored_and_not_announced(
    simulated: list[Entry],
) -> None:
    late = [read._replace(now_ms=read.now_ms + 60_000) for read in reads_of(simulated, 500)]
    run = Run(late)
    assert run.play() == replayed(simulated)
    assert run.publisher.rows == []


@pytest.mark.parametrize("reads_before", [1, 2, 40])
def test_a_drain_at_any_moment_stores_every_row_of_what_was_read(
    simulated: list[Entry], reads_before: int
) -> None:
    reads, come = reads_of(simulated, 50), threading.Event()

    def last_read() -> ReadResult:
        come.set()
        return reads[reads_before - 1]

    run = Run([*reads[: reads_before - 1], last_read, *reads[reads_before:]])
    run.start()
    assert come.wait(PATIENCE_S)
    stored = run.drain()
    done = reads[: run.source.calls]
    entries = [entry for read in done for entry in read.entries]
    expected = replayed(entries)
    assert stored == {key: expected[key] for key in expected if key[2] <= done[-1].watermark_ms}


def test_a_full_pipeline_loses_nothing(simulated: list[Entry]) -> None:
    run = Run(reads_of(simulated, 200), mailbox_limit=1, batch_rows=2, dispatcher_threads=2)
    assert run.play() == replayed(simulated)


def test_rows_that_nobody_takes_stop_the_reading() -> None:
    run = Run([], mailbox_limit=10, outbox_after_rows=100)
    downstream, backlog = run.collector._downstream(), run.collector._backlog
    for number in range(109):
        backlog.add([row(f"session-{number}")], 0.0)
    assert not downstream.is_full()
    backlog.add([row()], 0.0)
    assert downstream.is_full()


def test_10_000_sessions_at_once() -> None:
    sent = bulk(events=25_000, sessions=10_000)
    entries: list[Entry] = [
        (AT_MS + number // 5, number, *each) for number, each in enumerate(sent)
    ]
    run = Run(reads_of(entries, 1000))
    rows = run.play()
    assert len({key[:2] for key in rows}) == 10_000
    assert rows == replayed(entries)


def decode_poison(body: bytes, at_ms: int) -> Decoded:
    return body.decode(), poison(at_ms)


def with_poison(entries: Sequence[Entry], session_id: str, doses: int) -> list[Entry]:
    """Put so many poison events into a session, one in each of as many ticks, from its start."""
    begun_ms = entries[0][0]
    bad = [
        (begun_ms + dose * TICK_MS, 10**6, "poison", session_id.encode()) for dose in range(doses)
    ]
    return sorted([*entries, *bad])


@pytest.fixture
def poisoned_session(simulated: list[Entry], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(DECODERS, "poison", decode_poison)
    return next(session for tenant, session, _ in replayed(simulated) if tenant == "default")


@pytest.mark.parametrize("doses", [1, 3])
def test_poison_within_budget_changes_no_row_of_anybody(
    simulated: list[Entry], poisoned_session: str, doses: int
) -> None:
    run = Run(reads_of(with_poison(simulated, poisoned_session, doses), 100), dispatcher_threads=2)
    assert run.play() == replayed(simulated)
    assert [letter.reason for letter in run.dead_letters.letters] == ["handler_failed"] * doses


def test_a_session_in_quarantine_disturbs_no_other(
    simulated: list[Entry], poisoned_session: str, log_lines: list[EventDict]
) -> None:
    run = Run(reads_of(with_poison(simulated, poisoned_session, 12), 100), dispatcher_threads=2)
    stored, expected = run.play(), replayed(simulated)
    missing = {key for key in expected if key not in stored}
    assert {key[:2] for key in missing} == {("default", poisoned_session)}
    assert stored == {key: expected[key] for key in expected if key not in missing}
    assert len(run.dead_letters.letters) == 4
    assert [line["session"] for line in log_lines if line["event"] == "session_quarantined"] == [
        poisoned_session
    ]


SHAPES: dict[str, Callable[[str, str], str]] = {
    CHAT: lambda s, u: f'{{"sessionId":"{s}","message":{{"id":"m{u}","authorId":"{u}"}}}}',
    VOTE: lambda s, u: f'{{"sessionId":"{s}","pollId":"p{u}","userId":"{u}","eventId":"e"}}',
    CLOSED: lambda s, u: f'{{"sessionId":"{s}","pollId":"p{u}"}}',
    REACTION: lambda s, u: f'{{"sessionId":"{s}","userId":"{u}"}}',
    LIVE: lambda s, u: f'{{"type":"user_join","sessionId":"{s}","userId":"{u}"}}',
    SYNC: lambda s, u: f'{{"type":"user_leave","sessionId":"{s}","userId":"{u}"}}',
    "acme:" + SYNC: lambda s, u: f'{{"type":"reaction","sessionId":"{s}","userId":"{u}"}}',
    "unheard-of": lambda s, u: s + u,
}
GAPS_MS = [0, 1, 700, 4999, 5000, 19_000, 20_000, 61_000]


@st.composite
def histories(draw: st.DrawFn) -> list[Entry]:
    """Draw entries of few sessions, with silences in which these are over and passivated."""
    at_ms, entries = AT_MS, list[Entry]()
    kind = st.tuples(
        st.sampled_from(GAPS_MS),
        st.sampled_from(list(SHAPES)),
        st.sampled_from("stu"),
        st.sampled_from("ab"),
    )
    for sequence, (gap_ms, name, session, user) in enumerate(
        draw(st.lists(kind, min_size=1, max_size=60))
    ):
        at_ms += gap_ms
        entries.append((at_ms, sequence, name, SHAPES[name](session, user).encode()))
    return entries


@settings(max_examples=40, deadline=None)
@given(histories(), st.integers(1, 20), st.integers(1, 3), st.sampled_from([20.0, 40.0, 21_600.0]))
def test_any_history_read_in_any_pieces_gives_the_rows_of_its_replay(
    entries: list[Entry], size: int, threads: int, presence_timeout_s: float
) -> None:
    rules = {
        "window_s": 10.0,
        "session_timeout_s": 20.0,
        "presence_timeout_s": presence_timeout_s,
    }
    run = Run(reads_of(entries, size), None, None, dispatcher_threads=threads, **rules)
    assert run.play() == replayed(entries, **rules)
