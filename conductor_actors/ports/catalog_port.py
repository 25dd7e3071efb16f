"""The ports through which the collector keeps the catalog of sessions: ends, figures and titles."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.session_titles import TitleChange


class FinishedSession(NamedTuple):
    """A session and the time of its last row."""

    key: SessionKey
    ended_ms: int


class SessionCatalog(Protocol):
    """End sessions that were lost, and store the figures of those that have ended.

    Every call may raise `Unavailable`, or `ConfigError` for what the operator must change.
    """

    def adopt(self) -> int:
        """Add sessions whose rows an earlier version stored after the tables were migrated.

        Return how many were added, or began earlier than was known.
        """

    def find_lost(self, before_ms: int) -> Sequence[FinishedSession]:
        """Return live sessions whose newest row is older; there may be more."""

    def end(self, sessions: Sequence[FinishedSession]) -> int:
        """End sessions, unless they have a later row; return how many have ended."""

    def find_unsummarised(self, limit: int) -> Sequence[FinishedSession]:
        """Return ended sessions whose figures are not stored, the latest first."""

    def summarise(self, session: FinishedSession) -> bool:
        """Compute and store the figures of a session; return False if it has another end by now."""

    def close(self) -> None:
        """Close every connection."""


class RefusedTitle(NamedTuple):
    """A change that the database will never store, and why."""

    change: TitleChange
    reason: str


class TitleTable(Protocol):
    """Store what sessions and events are called, in the database."""

    def write(self, changes: Sequence[TitleChange]) -> Sequence[RefusedTitle]:
        """Store changes, and return those that are refused; of several, the newest holds.

        Raises as `SessionCatalog`. Then some may be stored: write all of them again.
        """

    def close(self) -> None:
        """Close every connection."""


class TitlePage(NamedTuple):
    """Changes in the outbox, and the ids of the entries that they are in."""

    changes: Sequence[TitleChange]
    ids: Sequence[str]


class TitleOutbox(Protocol):
    """Store changes of titles, in order, while the database is unavailable.

    Every call may raise `Unavailable`.
    """

    def append(self, changes: Sequence[TitleChange]) -> None:
        """Append the changes, all or none. After `Unavailable`, append them again."""

    def read_oldest(self, count: int) -> TitlePage:
        """Return about `count` changes, oldest first, without deleting them."""

    def delete(self, page: TitlePage) -> None:
        """Delete the changes of a page."""

    def close(self) -> None:
        """Close every connection."""
