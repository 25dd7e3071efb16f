"""The actor that drops old rows, where the database does not do so by itself."""

from conductor_actors.actors.messages import IntervalElapsed
from conductor_actors.actors.runtime.base import ActorContext, SystemActor
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import RowsExpired, emit
from conductor_actors.outages import Outage
from conductor_actors.ports import Retention


class RetentionActor(SystemActor):
    """Applies retention at the start and at each interval."""

    def __init__(
        self, context: ActorContext[ThreadMailbox], retention: Retention, days: float
    ) -> None:
        super().__init__(context)
        self._retention = retention
        self._days = days
        self._outage = Outage("database retention", context.mailbox.clock)

    def on_start(self) -> None:
        self._context.mailbox.remind(IntervalElapsed())

    def on_receive(self, message: IntervalElapsed) -> None:
        del message
        try:
            dropped = self._retention.apply_retention(self._days)
        except (Unavailable, ConfigError) as error:  # a restart would not help
            self._outage.record_failure(error)
        else:
            self._outage.record_success()
            emit(RowsExpired(dropped=dropped, older_than_days=self._days))
