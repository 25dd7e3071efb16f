"""Whom the timer tells, and when."""

from conductor_actors.actors.messages import IntervalElapsed
from conductor_actors.actors.runtime.awake_clock import AwakeClock
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.actors.timer import Timer, TimerEntry
from tests.support.fakes.fake_clock import FakeClock
from tests.support.fakes.recording_mailbox import RecordingMailbox

TIMEOUT_S = 5.0


class TwoIntervals:
    """A timer that tells `often` every second and `seldom` every five."""

    def __init__(self) -> None:
        self.often, self.seldom = RecordingMailbox(), RecordingMailbox()
        self._clock = FakeClock()
        self._timer = Timer(
            [TimerEntry(self.often, 1.0), TimerEntry(self.seldom, 5.0)],
            AwakeClock(self._clock),
            self._clock,
        )

    def after(self, passed_s: float) -> tuple[int, int]:
        """Let time pass; return how often each was told by then."""
        self._clock.advance(passed_s)
        self.wait_s = self._timer.send_due()
        assert set(self.often.messages + self.seldom.messages) <= {IntervalElapsed()}
        return len(self.often.messages), len(self.seldom.messages)


def test_each_mailbox_gets_a_message_at_its_own_interval() -> None:
    intervals = TwoIntervals()
    assert intervals.after(0.99) == (0, 0)
    assert intervals.after(0.01) == (1, 0)
    assert intervals.after(0.5) == (1, 0)
    assert intervals.after(0.5) == (2, 0)
    assert [intervals.after(1.0) for _ in range(3)] == [(3, 0), (4, 0), (5, 1)]


def test_the_timer_waits_until_the_next_interval_elapses() -> None:
    intervals = TwoIntervals()
    intervals.after(0.25)
    assert intervals.wait_s == 0.75


def test_after_a_pause_each_mailbox_gets_one_message() -> None:
    intervals = TwoIntervals()
    assert intervals.after(3600) == (1, 1)
    assert intervals.after(0.5) == (1, 1)


def test_a_message_that_waits_is_not_sent_again() -> None:
    mailbox, clock = ThreadMailbox(), FakeClock()
    timer = Timer([TimerEntry(mailbox, 1.0)], AwakeClock(clock), clock)
    for _ in range(5):
        clock.advance(1.0)
        timer.send_due()
    assert mailbox.depth() == 1
    assert mailbox.get().message == IntervalElapsed()
    clock.advance(1.0)
    timer.send_due()
    assert mailbox.depth() == 1


def test_the_awake_clock_counts_a_suspension_as_one_second() -> None:
    clock = FakeClock()
    awake_clock = AwakeClock(clock)
    for passed_s in (0.5, 0.75, 3600, 0.25):
        clock.advance(passed_s)
        awake_clock.advance()
    assert awake_clock.now_s == 2.5


def test_a_timer_sends_from_start_to_stop() -> None:
    mailbox = ThreadMailbox()
    awake_clock = AwakeClock()
    timer = Timer([TimerEntry(mailbox, 0.001)], awake_clock)
    timer.start()
    mailbox.wait(TIMEOUT_S)
    assert mailbox.get().message == IntervalElapsed()
    assert awake_clock.now_s > 0
    timer.stop()
    timer._thread.join(TIMEOUT_S)
    assert not timer._thread.is_alive()
