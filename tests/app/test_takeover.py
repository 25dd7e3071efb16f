"""How a process becomes the owner: what a standby does, and what it then goes on from."""

import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from conductor_actors.app.takeover import STANDBY_REMINDER_S, Ownership, Takeover, _Standby
from conductor_actors.domain.checkpoints import Header, encode_header, encode_state
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.intake import IntakeState
from conductor_actors.domain.session_state import SessionRules, SessionState
from conductor_actors.errors import ConfigError, OwnershipLost, Unavailable
from conductor_actors.ports import Checkpoint, ReadResult
from tests.actors.session_events import chats
from tests.support.fakes.fake_clock import FakeClock
from tests.support.fakes.memory_checkpoints import MemoryCheckpoints
from tests.support.fakes.memory_lease import MemoryLease
from tests.support.fakes.scripted_source import ScriptedSource
from tests.support.score_rows import AT_MS

PATIENCE_S = 5.0
RULES = SessionRules()
READS = [ReadResult((), AT_MS + number, AT_MS + number) for number in range(3)]


class Wanted(MemoryLease):
    """A lease that another process has for so many looks."""

    def __init__(self, looks: int = 0) -> None:
        super().__init__()
        self.looks = looks
        self.looked = threading.Event()

    def acquire_or_renew(self) -> None:
        if self.looks:
            self.looks -= 1
            self.looked.set()
            raise OwnershipLost("another has it")
        super().acquire_or_renew()

    def owner(self) -> str:
        return "host:1:abc"


class Stage(NamedTuple):
    lease: Wanted
    source: ScriptedSource
    checkpoints: MemoryCheckpoints
    stop: threading.Event
    stood_by: list[int]

    def complete(self) -> Ownership:
        takeover = Takeover(self.lease, self.source, self.checkpoints, self.stop)
        return takeover.complete(RULES, lambda: self.stood_by.append(self.source.calls))


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr("conductor_actors.app.takeover.STANDBY_POLL_S", 0.001)
    return Stage(Wanted(), ScriptedSource(READS), MemoryCheckpoints(), threading.Event(), [])


@pytest.fixture(autouse=True)
def log_lines() -> Iterator[list[EventDict]]:
    with capture_logs() as lines:
        yield lines


def write(checkpoints: MemoryCheckpoints, position: bytes = b"1", window_s: int = 60) -> None:
    header = Header(7, window_s, position, IntakeState(passed_ms=AT_MS))
    state = SessionState.new("s", RULES).after(chats(3))
    over = SessionState.new("over", RULES)
    sessions = {
        SessionKey("default", "s"): encode_state(state),
        SessionKey("default", "over"): encode_state(over),
    }
    checkpoints.commit(Checkpoint(encode_header(header), sessions, is_full=True))


def test_without_a_checkpoint_it_begins_anew(stage: Stage) -> None:
    source, recovered = stage.complete()
    assert recovered is None
    assert [source.read() for _ in READS] == READS  # the first was read to see if it can be
    assert stage.stood_by == []


def test_with_a_checkpoint_it_goes_on(stage: Stage, log_lines: list[EventDict]) -> None:
    write(stage.checkpoints)
    source, recovered = stage.complete()
    assert recovered is not None
    assert set(recovered.states) == {SessionKey("default", "s")}
    assert recovered.ended == {SessionKey("default", "over")}
    assert source.read() == READS[1]
    assert source.position() == b"2"
    [line] = [line for line in log_lines if line["event"] == "checkpoint_loaded"]
    assert (line["number"], line["sessions"]) == (7, 1)


def test_a_standby_listens_and_touches_nothing_until_it_is_the_owner(
    stage: Stage, log_lines: list[EventDict]
) -> None:
    stage.lease.looks = 20
    stage.checkpoints.outage = AssertionError("touched by a standby")
    while_waiting = stage.lease.acquire_or_renew

    def acquire_or_renew() -> None:
        while_waiting()
        stage.checkpoints.outage = None

    stage.lease.acquire_or_renew = acquire_or_renew  # type: ignore[method-assign]
    stage.complete()
    assert stage.stood_by == [0] * 20
    assert stage.source.subscribe_calls == 21
    awaited = [line for line in log_lines if line["event"] == "lease_awaited"]
    assert [line["owner"] for line in awaited] == ["host:1:abc"]


def test_a_standby_says_so_at_once_and_then_every_minute(log_lines: list[EventDict]) -> None:
    clock = FakeClock()
    standby = _Standby(clock)
    for _ in range(130):
        standby.report(lambda: "host:1:abc")
        clock.advance(1)
    assert [line["waited_s"] for line in log_lines] == [
        0,
        STANDBY_REMINDER_S,
        2 * STANDBY_REMINDER_S,
    ]


def test_a_standby_can_be_stopped(stage: Stage) -> None:
    stage.lease.looks = 10**9
    ended: list[Exception] = []

    def wait() -> None:
        try:
            stage.complete()
        except Unavailable as stopped:
            ended.append(stopped)

    thread = threading.Thread(target=wait)
    thread.start()
    assert stage.lease.looked.wait(PATIENCE_S)
    stage.stop.set()
    thread.join(PATIENCE_S)
    assert len(ended) == 1


def test_an_outage_is_waited_out_at_every_step(stage: Stage) -> None:
    write(stage.checkpoints)
    failures = iter("alr")

    def unless_it_fails_first(call: Callable[[], object]) -> Callable[[], object]:
        failed: list[str] = []

        def step() -> object:
            if not failed:
                failed.append(next(failures))
                raise Unavailable("connection refused")
            return call()

        return step

    stage.lease.acquire_or_renew = unless_it_fails_first(stage.lease.acquire_or_renew)  # type: ignore[method-assign, assignment]
    stage.checkpoints.load = unless_it_fails_first(stage.checkpoints.load)  # type: ignore[method-assign, assignment]
    stage.source.read = unless_it_fails_first(stage.source.read)  # type: ignore[method-assign, assignment]
    assert stage.complete().recovered is not None
    assert [*failures] == []


def test_a_checkpoint_that_can_not_be_gone_on_with_is_the_operators_turn(stage: Stage) -> None:
    write(stage.checkpoints, window_s=30)
    with pytest.raises(
        ConfigError, match="CONDUCTOR_WINDOW_S=60: the checkpoint has windows of 30"
    ):
        stage.complete()


def test_who_was_overtaken_while_loading_does_not_begin(stage: Stage) -> None:
    def load_slowly() -> None:
        stage.lease.looks = 1

    stage.checkpoints.load = load_slowly  # type: ignore[method-assign]
    with pytest.raises(OwnershipLost):
        stage.complete()
    assert stage.source.calls == 0
