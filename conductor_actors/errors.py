"""Errors by who must act.

Anything that is none of these is our own bug: the actor dies and the Supervisor decides.
"""


class ConfigError(Exception):
    """The operator must act: a setting, a password or a grant is wrong. Ends the start with 2."""


class InvalidEvent(Exception):  # noqa: N818 - the field says "invalid event"
    """The sender must act: this event can't be read. It is counted and dead-lettered.

    `reason` is one of a small closed set (a key of the log stream), never text of the event.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unavailable(Exception):  # noqa: N818 - the field says "unavailable"
    """The outside world must act: Redis or the database is away. The call is tried again."""


class OwnershipLost(Exception):  # noqa: N818 - a fact, not a fault
    """Another process owns this data now: this one must stop."""
