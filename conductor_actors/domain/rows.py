"""The columns of a score row: one definition for the table, for CSV files and for comparisons."""

from typing import Final, Generic, NamedTuple, TypeVar, get_type_hints

from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import ScoreRow, Signals

T = TypeVar("T")


class ScoreRecord(NamedTuple, Generic[T]):
    """A score row as columns. `time` is the tick, in the form that each wire has for it."""

    time: T
    tenant_id: str
    session_id: str
    event_id: str
    engagement_score: float
    category: str
    chat_msgs_per_min: float
    poll_participation: float
    active_users: int
    total_users: int
    reactions_per_min: float
    user_leave_rate: float

    @property
    def key(self) -> SessionKey:
        """The session that the row is about."""
        return SessionKey(self.tenant_id, self.session_id)


_types: Final = get_type_hints(ScoreRecord)

COLUMNS: Final = ScoreRecord._fields
VALUE_TYPES: Final[dict[str, type]] = {name: _types[name] for name in COLUMNS[1:]}  # but the time's
SIGNAL_COLUMNS: Final = Signals.__struct_fields__
UNKNOWN_AUDIENCE: Final = "unknown"  # in a row's metadata, as `audience`


def record_of(row: ScoreRow, time: T) -> ScoreRecord[T]:
    """Return the row as columns, with its tick in the given form."""
    # The constructor of a named tuple would take three times as long.
    return tuple.__new__(ScoreRecord, values_of(row, time))


def values_of(row: ScoreRow, time: T) -> tuple[T | str | float, ...]:
    """Return the values of the columns, in their order."""
    signals = row.signals
    return (
        time,
        row.tenant_id,
        row.session_id,
        row.event_id,
        row.score,
        row.category,
        signals.chat_msgs_per_min,
        signals.poll_participation,
        signals.active_users,
        signals.total_users,
        signals.reactions_per_min,
        signals.user_leave_rate,
    )
