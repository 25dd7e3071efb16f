"""Log events of webhooks. Neither URLs nor bodies are in them; `id` is the header `webhook-id`."""

from typing import ClassVar, TypeAlias

from conductor_actors.log_events.log_event import Count, Level, LogEvent, Name, Number


class WebhookDelivered(LogEvent):
    """A receiver accepted an event, `waited_s` after it happened.

    `duration_s` is the time of the last of its `attempts`.
    """

    id: Name
    type: Name
    attempts: Count
    duration_s: Number
    waited_s: Number


class WebhookFailed(LogEvent):
    """A receiver did not accept an event, which is sent again."""

    level: ClassVar[Level] = "warning"

    id: Name
    type: Name
    attempts: Count
    error: Name
    next_in_s: Number


class WebhookGivenUp(LogEvent):
    """An event is not sent any more: `webhooks retry` sends it again."""

    level: ClassVar[Level] = "error"

    id: Name
    type: Name
    attempts: Count
    error: Name


class WebhooksCounted(LogEvent):
    """The numbers of events that are to be sent, of those that failed before, and of dead ones.

    Every 15 s. `oldest_s` is how long ago the oldest that is to be sent happened.
    """

    level: ClassVar[Level] = "debug"

    pending: Count
    failed: Count
    dead: Count
    oldest_s: Number


class DeliveriesExpired(LogEvent):
    """Events that were sent long ago were deleted, and those that waited for days given up."""

    deleted: Count
    given_up: Count


WebhookEvent: TypeAlias = (
    DeliveriesExpired | WebhookDelivered | WebhookFailed | WebhookGivenUp | WebhooksCounted
)
