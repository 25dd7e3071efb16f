"""Errors, by who must act.

Any other exception is a bug in this package: the actor fails and the Supervisor decides.
"""


class ConfigError(Exception):
    """The operator must act: a setting, a password or a grant is wrong. The exit code is 2."""


class TablesMissing(ConfigError):  # noqa: N818 - a state, which a migration ends
    """The operator must migrate the database. At the first start the service is about to."""


class InvalidEvent(Exception):  # noqa: N818 - the field says "invalid event"
    """The sender must act: an event is invalid. It is counted and dead-lettered.

    `reason` is one of a small closed set, which the log lines have, never text of the event.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unavailable(Exception):  # noqa: N818 - the field says "unavailable"
    """Redis or the database is unavailable. The call is retried."""


class Overloaded(Exception):  # noqa: N818 - a state, not a fault
    """The caller must act: there are too many requests at once. Later ones succeed."""


class Unsupported(Exception):  # noqa: N818 - a state, not a fault
    """What is requested can't be read from several databases."""

    def __init__(self, subject: str) -> None:
        super().__init__(f"{subject} can't be read from several databases")


class OwnershipLost(Exception):  # noqa: N818 - a fact, not a fault
    """Another process is the owner now: this one must stop."""
