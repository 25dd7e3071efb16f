"""How a process becomes the owner: what a standby does, and what it then goes on from."""

import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from conductor_actors.app.lease_wait import STANDBY_REMINDER_INTERVAL_S, StandbyReminder
from conductor_actors.app.takeover import Ownership, Takeover
from conductor_actors.domain.checkpoints.encoding import Header, encode_header, encode_state
from conductor_actors.domain.draft import apply_events
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.intake_state import IntakeState
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.domain.session_state import SessionState
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


class OccupiedLease(MemoryLease):
    """A lease that another process holds for the next `attempts`."""

    def __init__(self, attempts: int = 0) -> None:
        super().__init__()
        self.attempts = attempts
        self.attempted = threading.Event()

    def acquire_or_renew(self) -> None:
        if self.attempts:
            self.attempts -= 1
            self.attempted.set()
            raise OwnershipLost("another has it")
        super().acquire_or_renew()

    def owner(self) -> str:
        return "host:1:abc"

    def break_from(self, owner: str) -> None:
        assert owner == self.owner()
        self.attempts = 0


class TakeoverSetup(NamedTuple):
    lease: OccupiedLease
    source: ScriptedSource
    checkpoints: MemoryCheckpoints
    stop: threading.Event
    stood_by: list[int]

    def complete(self) -> Ownership:
        takeover = Takeover(self.lease, self.source, self.checkpoints, self.stop)
        return takeover.complete(RULES, lambda: self.stood_by.append(self.source.calls))


@pytest.fixture
def setup(monkeypatch: pytest.MonkeyPatch) -> TakeoverSetup:
    monkeypatch.setattr("conductor_actors.app.lease_wait.STANDBY_POLL_INTERVAL_S", 0.001)
    return TakeoverSetup(
        OccupiedLease(), ScriptedSource(READS), MemoryCheckpoints(), threading.Event(), []
    )


@pytest.fixture(autouse=True)
def log_lines() -> Iterator[list[EventDict]]:
    with capture_logs() as lines:
        yield lines


def write(checkpoints: MemoryCheckpoints, position: bytes = b"1", window_s: int = 60) -> None:
    header = Header(7, window_s, position, IntakeState(passed_ms=AT_MS))
    state = apply_events(SessionState("s", RULES), chats(3))
    over = SessionState("over", RULES)
    sessions = {
        SessionKey("default", "s"): encode_state(state),
        SessionKey("default", "over"): encode_state(over),
    }
    checkpoints.commit(Checkpoint(encode_header(header), sessions, is_full=True))


def test_without_a_checkpoint_a_takeover_starts_with_new_events(setup: TakeoverSetup) -> None:
    source, recovered = setup.complete()
    assert recovered is None
    assert [source.read() for _ in READS] == READS  # the first was read to see if it can be
    assert setup.stood_by == []


def test_a_takeover_continues_from_the_checkpoint(
    setup: TakeoverSetup, log_lines: list[EventDict]
) -> None:
    write(setup.checkpoints)
    source, recovered = setup.complete()
    assert recovered is not None
    assert set(recovered.states) == {SessionKey("default", "s")}
    assert recovered.ended == {SessionKey("default", "over")}
    assert source.read() == READS[1]
    assert source.position() == b"2"
    [line] = [line for line in log_lines if line["event"] == "checkpoint_loaded"]
    assert (line["number"], line["sessions"]) == (7, 1)


def test_a_standby_subscribes_and_reads_nothing_until_it_is_the_owner(
    setup: TakeoverSetup, log_lines: list[EventDict]
) -> None:
    setup.lease.attempts = 20
    setup.checkpoints.outage = AssertionError("touched by a standby")
    while_waiting = setup.lease.acquire_or_renew

    def acquire_or_renew() -> None:
        while_waiting()
        setup.checkpoints.outage = None

    setup.lease.acquire_or_renew = acquire_or_renew  # type: ignore[method-assign]
    setup.complete()
    assert setup.stood_by == [0] * 20
    assert setup.source.subscribe_calls == 21
    awaited = [line for line in log_lines if line["event"] == "lease_awaited"]
    assert [line["owner"] for line in awaited] == ["host:1:abc"]


def test_a_standby_is_reported_at_once_and_then_every_minute(log_lines: list[EventDict]) -> None:
    clock = FakeClock()
    standby = StandbyReminder(clock)
    for _ in range(130):
        standby.report(lambda: "host:1:abc")
        clock.advance(1)
    assert [line["waited_s"] for line in log_lines] == [
        0,
        STANDBY_REMINDER_INTERVAL_S,
        2 * STANDBY_REMINDER_INTERVAL_S,
    ]


def test_a_standby_can_be_stopped(setup: TakeoverSetup) -> None:
    setup.lease.attempts = 10**9
    ended: list[Exception] = []

    def wait() -> None:
        try:
            setup.complete()
        except Unavailable as stopped:
            ended.append(stopped)

    thread = threading.Thread(target=wait)
    thread.start()
    assert setup.lease.attempted.wait(PATIENCE_S)
    setup.stop.set()
    thread.join(PATIENCE_S)
    assert len(ended) == 1


def test_every_step_of_a_takeover_is_retried_after_an_outage(setup: TakeoverSetup) -> None:
    write(setup.checkpoints)
    failures = iter("alr")

    def unless_it_fails_first(call: Callable[[], object]) -> Callable[[], object]:
        failed: list[str] = []

        def step() -> object:
            if not failed:
                failed.append(next(failures))
                raise Unavailable("connection refused")
            return call()

        return step

    setup.lease.acquire_or_renew = unless_it_fails_first(setup.lease.acquire_or_renew)  # type: ignore[method-assign, assignment]
    setup.checkpoints.load = unless_it_fails_first(setup.checkpoints.load)  # type: ignore[method-assign, assignment]
    setup.source.read = unless_it_fails_first(setup.source.read)  # type: ignore[method-assign, assignment]
    assert setup.complete().recovered is not None
    assert [*failures] == []


def test_a_standby_waits_while_redis_refuses_it(
    setup: TakeoverSetup, log_lines: list[EventDict]
) -> None:
    setup.lease.attempts = 2
    acquire_or_renew = setup.lease.acquire_or_renew

    def acquire_unless_refused() -> None:
        if setup.lease.attempts == 1:
            setup.lease.attempts -= 1
            raise ConfigError("REDIS_URL: Redis refuses the user or password")
        acquire_or_renew()

    setup.lease.acquire_or_renew = acquire_unless_refused  # type: ignore[method-assign]
    setup.complete()
    outage = [line for line in log_lines if line["event"].startswith("outage")]
    assert [line["event"] for line in outage] == ["outage_began", "outage_ended"]
    assert "refuses the user" in outage[0]["error"]


def test_a_start_that_redis_refuses_is_a_config_error(setup: TakeoverSetup) -> None:
    setup.lease.refusal = ConfigError("REDIS_URL: Redis refuses the user or password")
    with pytest.raises(ConfigError, match="refuses the user"):
        setup.complete()


def test_a_checkpoint_with_other_rules_is_a_config_error(setup: TakeoverSetup) -> None:
    write(setup.checkpoints, window_s=30)
    with pytest.raises(
        ConfigError, match="CONDUCTOR_WINDOW_S=60: the checkpoint has windows of 30"
    ):
        setup.complete()


def test_a_process_that_loses_the_lease_while_loading_does_not_start(setup: TakeoverSetup) -> None:
    def load_slowly() -> None:
        setup.lease.attempts = 1

    setup.checkpoints.load = load_slowly  # type: ignore[method-assign]
    with pytest.raises(OwnershipLost):
        setup.complete()
    assert setup.source.calls == 0


def test_the_lease_of_an_owner_that_has_ended_is_taken_at_once(setup: TakeoverSetup) -> None:
    setup.lease.attempts = 1_000_000
    takeover = Takeover(
        setup.lease,
        setup.source,
        setup.checkpoints,
        setup.stop,
        lambda owner: owner == "host:1:abc",
    )
    owned = takeover.complete(RULES, lambda: pytest.fail("stood by"))
    assert owned.source.read() == READS[0]
