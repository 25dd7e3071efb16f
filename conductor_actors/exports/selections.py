"""What is exported, and the port that reads it page by page."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from conductor_actors.exports.dictionary import ExportTable

# The values of the columns of a table: datetimes, text, numbers, JSON as text, and None.
ExportRecord: TypeAlias = tuple[Any, ...]


class ExportSelection(NamedTuple):
    """The rows of a tenant in a table that are exported: in `[first_ms, until_ms)`, if given.

    Only those of a session or of an event, if one is given, and only of `session_ids` unless that
    is None. A session is of the event that the table of sessions has.
    """

    table: ExportTable
    tenant_id: str
    session_id: str | None = None
    event_id: str | None = None
    first_ms: int | None = None
    until_ms: int | None = None
    session_ids: Sequence[str] | None = None


class ExportSize(NamedTuple):
    """How many sessions are selected, and about how many rows; None if that is not known."""

    sessions: int
    rows: int | None


class ExportReader(Protocol):
    """Read the rows of exports. Each page is a query of its own, which has a deadline."""

    async def measure(self, selection: ExportSelection) -> ExportSize:
        """Return the size of an export; raises as each query of a history does."""

    def pages(
        self, selection: ExportSelection, page_rows: int
    ) -> AsyncGenerator[Sequence[ExportRecord], None]:
        """Return the rows in the order of their table, in pages of at most `page_rows`.

        Pages are never empty. Close the generator to stop reading. A page that can't be read now is
        tried again for a while; then `Unavailable`, `Overloaded` or `ConfigError` is raised.
        """
