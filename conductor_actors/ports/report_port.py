"""The ports through which reports are read: on an event loop, and in a thread."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import Scoring
from conductor_actors.wire.report_bodies import Report


class ReportRules(NamedTuple):
    """The settings by which rows were scored."""

    scoring: Scoring
    tick_s: int
    window_s: int


class ReportReader(Protocol):
    """Read reports on one event loop.

    Every call may raise `Unavailable` or `Overloaded`, or `ConfigError` for what the operator must
    change. `session_ids` are those that the caller may see; None: all of the tenant.
    """

    async def session_report(
        self, key: SessionKey, session_ids: Sequence[str] | None = None
    ) -> Report | None:
        """Return the report of a session; None if it has no row.

        It is compared with those of the other sessions of its event that the caller may see.
        """

    async def event_report(
        self, tenant_id: str, event_id: str, session_ids: Sequence[str] | None = None
    ) -> Report | None:
        """Return the report of an event; None if none of its sessions has a row."""


class SessionReports(Protocol):
    """Read the reports of sessions in a thread that may wait."""

    def session_report(self, key: SessionKey) -> Report | None:
        """Return the report of a session; None if it has no row.

        Raise `Unavailable`, or `ConfigError` for what the operator must change.
        """

    def close(self) -> None:
        """Close the connection."""
