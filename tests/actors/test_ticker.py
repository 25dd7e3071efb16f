"""Whom the Ticker tells that time has passed, and when."""

from pykka.messages import ProxyGetAttr

from conductor_actors.actors.messages import TimePassed
from conductor_actors.actors.runtime.base import ActorContext
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.actors.ticker import Subscription, TickerActor
from tests.actors.probes import Ref
from tests.support.fakes.fake_clock import FakeClock
from tests.support.fakes.recording_mailbox import RecordingMailbox

PATIENCE_S = 5.0


class Desk:
    """A Ticker that tells `often` every second and `seldom` every five."""

    def __init__(self) -> None:
        self.often, self.seldom = RecordingMailbox(), RecordingMailbox()
        self._clock = FakeClock()
        mailbox = ThreadMailbox(self._clock)
        context = ActorContext("ticker", mailbox, RecordingMailbox())
        subscriptions = [Subscription(self.often, 1.0), Subscription(self.seldom, 5.0)]
        self.ref: Ref = TickerActor.start(context, subscriptions)

    def after(self, passed_s: float) -> tuple[int, int]:
        """Let time pass; count how often each was told by then."""
        self._clock.advance(passed_s)
        # Mail ends its nap; it has looked at the clock once more before it answers the second.
        for _ in range(2):
            self.ref.ask(ProxyGetAttr(attr_path=("actor_urn",)), timeout=PATIENCE_S)
        assert set(self.often.messages + self.seldom.messages) <= {TimePassed()}
        return len(self.often.messages), len(self.seldom.messages)


def test_each_is_told_at_its_own_interval() -> None:
    desk = Desk()
    assert desk.after(0.99) == (0, 0)
    assert desk.after(0.01) == (1, 0)
    assert desk.after(0.5) == (1, 0)
    assert desk.after(0.5) == (2, 0)
    assert [desk.after(1.0) for _ in range(3)] == [(3, 0), (4, 0), (5, 1)]


def test_after_a_pause_everyone_is_told_once() -> None:
    desk = Desk()
    assert desk.after(3600) == (1, 1)
    assert desk.after(0.5) == (1, 1)


def test_a_stop_is_heard_during_a_nap() -> None:
    assert Desk().ref.stop(timeout=PATIENCE_S)
