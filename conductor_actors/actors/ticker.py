"""Tells others that time has passed, each at its own interval."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from conductor_actors.actors.messages import TimePassed
from conductor_actors.actors.runtime.base import ActorContext, SystemActor
from conductor_actors.actors.runtime.mailbox import Mailbox, ThreadMailbox

LONGEST_NAP_S: Final = 0.25  # so that a stop is heard soon


class Beat(NamedTuple):
    """To the Ticker, from itself: look whose interval has passed."""


class Subscription(NamedTuple):
    """Who is told, and how often."""

    mailbox: Mailbox
    interval_s: float


class TickerActor(SystemActor):
    """Measures with a clock that never goes back: no wall clock can stop or hurry it."""

    def __init__(
        self, context: ActorContext[ThreadMailbox], subscriptions: Sequence[Subscription]
    ) -> None:
        super().__init__(context)
        self._clock = context.mailbox.clock
        self._subscriptions = subscriptions
        self._due_s = [self._clock() + each.interval_s for each in subscriptions]

    def on_start(self) -> None:
        self._beat = Beat()
        self._context.mailbox.tell(self._beat)

    def on_receive(self, message: Beat) -> None:
        if message is not self._beat:  # a failed predecessor's, which is still in the mail
            return
        self._context.mailbox.wait(min(LONGEST_NAP_S, max(0.0, min(self._due_s) - self._clock())))
        now_s = self._clock()
        for index, subscription in enumerate(self._subscriptions):
            if now_s >= self._due_s[index]:
                self._due_s[index] = now_s + subscription.interval_s
                subscription.mailbox.tell(TimePassed())
        self._context.mailbox.tell(message)
