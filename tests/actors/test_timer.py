"""Whom the timer tells, and when."""

from conductor_actors.actors.messages import IntervalElapsed
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
            [TimerEntry(self.often, 1.0), TimerEntry(self.seldom, 5.0)], self._clock
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


def test_a_timer_sends_from_start_to_stop() -> None:
    mailbox = ThreadMailbox()
    timer = Timer([TimerEntry(mailbox, 0.001)])
    timer.start()
    mailbox.wait(TIMEOUT_S)
    assert mailbox.get().message == IntervalElapsed()
    timer.stop()
    timer._thread.join(TIMEOUT_S)
    assert not timer._thread.is_alive()
