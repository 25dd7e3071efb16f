"""The time to go by while Redis' clock steps: never stopped, never ahead of a right clock."""

from itertools import pairwise

import pytest
from structlog.typing import EventDict

from conductor_actors.adapters.redis.events.server_clock import TRUST_AFTER_S, ServerClock

START_MS = 1_800_000_000_000
READ_S = 0.01
TWENTY_MINUTES_S = 1200.0


class Reader:
    """Reads four times a second; each reading takes 10 ms, in whose middle Redis' clock is read."""

    def __init__(self, clock: ServerClock) -> None:
        self.clock = clock
        self.elapsed_s = 0.0

    def read(self, ahead_s: float = 0.0) -> int:
        """Return the time to go by, in milliseconds since the start."""
        self.elapsed_s += 0.25
        server_ms = START_MS + int((self.elapsed_s + READ_S / 2 + ahead_s) * 1000)
        began_s, ended_s = self.elapsed_s, self.elapsed_s + READ_S
        return self.clock.correct(server_ms, began_s, ended_s) - START_MS

    def read_for(self, seconds: float, ahead_s: float = 0.0) -> list[int]:
        return [self.read(ahead_s) for _ in range(int(seconds * 4))]

    @property
    def true_ms(self) -> int:
        return int((self.elapsed_s + READ_S / 2) * 1000)


@pytest.fixture
def reader() -> Reader:
    reader = Reader(ServerClock())
    assert reader.read_for(10)[-1] == reader.true_ms
    return reader


@pytest.mark.parametrize("ahead_s", [-9.9, -0.01, 0.0, 0.01, 9.9])
def test_redis_clock_is_followed_within_ten_seconds(reader: Reader, ahead_s: float) -> None:
    assert reader.read(ahead_s) == reader.true_ms + int(ahead_s * 1000)
    assert not reader.clock.is_ahead


def test_a_step_ahead_of_a_few_seconds_is_not_followed(
    reader: Reader, log_lines: list[EventDict]
) -> None:
    for _ in range(12):
        now_ms = reader.read(TWENTY_MINUTES_S)
        assert reader.true_ms - 20 <= now_ms <= reader.true_ms
    assert reader.read() == reader.true_ms
    events = [line["event"] for line in log_lines]
    assert events == ["redis_clock_stepped", "redis_clock_trusted"]
    assert log_lines[0]["by_s"] == pytest.approx(TWENTY_MINUTES_S, abs=0.1)


def test_a_step_ahead_that_lasts_is_followed_after_a_minute(reader: Reader) -> None:
    before = reader.read_for(TRUST_AFTER_S, TWENTY_MINUTES_S)
    assert before[-1] <= reader.true_ms
    assert reader.read(TWENTY_MINUTES_S) == reader.true_ms + TWENTY_MINUTES_S * 1000


def test_after_a_step_back_time_goes_on_slower_until_redis_clock_is_there(reader: Reader) -> None:
    times = reader.read_for(1210, -120.0)
    assert times == sorted(times)
    steps = {later - earlier for earlier, later in pairwise(times[:4000])}
    assert steps <= {225, 226, 224}
    assert times[-1] == reader.true_ms - 120_000
    assert not reader.clock.is_ahead


def test_a_process_that_resumes_ahead_of_redis_clock_does_not_stop() -> None:
    reader = Reader(ServerClock())
    reader.clock.resume(START_MS + int(TWENTY_MINUTES_S * 1000))
    times = reader.read_for(60)
    assert times[0] >= TWENTY_MINUTES_S * 1000
    assert times[-1] - times[0] == pytest.approx(60 * 900, rel=0.02)
    assert reader.clock.is_ahead


def test_a_process_that_resumes_later_goes_by_redis_clock() -> None:
    reader = Reader(ServerClock())
    reader.clock.resume(START_MS - 86_400_000)
    assert reader.read() == reader.true_ms


def test_a_pause_of_this_process_is_no_step(reader: Reader) -> None:
    reader.elapsed_s += 3600
    assert reader.read() == reader.true_ms
    server_ms = START_MS + reader.true_ms
    began_s, ended_s = reader.elapsed_s, reader.elapsed_s + 600
    assert reader.clock.correct(server_ms, began_s, ended_s) == server_ms
    reader.elapsed_s = ended_s
    assert reader.read() == reader.true_ms
