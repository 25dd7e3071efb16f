"""The actor that renews the lease, and fails once another process holds it."""

from conductor_actors.actors.messages import IntervalElapsed
from conductor_actors.actors.runtime.base import ActorContext, SystemActor
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.outages import Outage
from conductor_actors.ports import Lease


class LeaseKeeperActor(SystemActor):
    """Renews the lease at each interval, and releases it at the stop."""

    def __init__(self, context: ActorContext[ThreadMailbox], lease: Lease) -> None:
        super().__init__(context)
        self._lease = lease
        self._outage = Outage("redis lease", context.mailbox.clock)

    def on_receive(self, message: IntervalElapsed) -> None:
        del message
        try:
            self._lease.acquire_or_renew()
        except (Unavailable, ConfigError) as error:  # a restart would not help
            self._outage.record_failure(error)
        else:
            self._outage.record_success()

    def on_stop(self) -> None:
        try:
            self._lease.release()
        except (Unavailable, ConfigError) as error:  # a restart would not help
            self._outage.record_failure(error)
