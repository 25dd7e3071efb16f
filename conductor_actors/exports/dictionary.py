"""The dictionary of exports: every table and column, with its type and its meaning."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

TableName: TypeAlias = Literal[
    "engagement_metrics", "anomalies", "interventions", "agent_performance"
]
ColumnType: TypeAlias = Literal["timestamp", "text", "number", "integer", "boolean", "json"]


class ExportColumn(NamedTuple):
    """A column. `type` is `json` for an object whose keys the meaning names."""

    name: str
    type: ColumnType
    meaning: str
    is_nullable: bool = False


class ExportTable(NamedTuple):
    """A table, the order of its rows, and its columns in their order."""

    name: TableName
    meaning: str
    order: str
    columns: Sequence[ExportColumn]

    @property
    def time_column(self) -> str:
        """The column that a range of time is about."""
        return "time" if any(one.name == "time" for one in self.columns) else "timestamp"


_OF_TENANT_ID: Final = ExportColumn("tenant_id", "text", "The tenant.")
_OF_SESSION_ID: Final = ExportColumn("session_id", "text", "The session.")
_OF_EVENT_COLUMN: Final = ExportColumn(
    "event_id", "text", "The event of the session. The session's id until an event is known."
)
_ID_MEANING: Final = "UUID; the same in every replay of the same events."
_BY_TIME: Final = "by time, then by id"

_METRICS: Final = ExportTable(
    "engagement_metrics",
    "The score of each session at each tick, and the signals that it follows from; also at the "
    "ticks after its last event.",
    "by session, then by time",
    (
        ExportColumn("time", "timestamp", "The tick. The row is about the minute before it."),
        *(_OF_TENANT_ID, _OF_SESSION_ID, _OF_EVENT_COLUMN),
        ExportColumn("engagement_score", "number", "The score, 0 to 1."),
        ExportColumn("category", "text", "VERY_HIGH, HIGH, MODERATE, LOW or VERY_LOW."),
        ExportColumn("chat_msgs_per_min", "number", "Chat messages per minute."),
        ExportColumn(
            "poll_participation", "number", "Share of users who voted in the open poll, 0 to 1."
        ),
        ExportColumn(
            "active_users", "integer", "Users who chatted, voted, reacted or arrived in the minute."
        ),
        ExportColumn("total_users", "integer", "Users who were there in the minute."),
        ExportColumn("reactions_per_min", "number", "Reactions per minute."),
        ExportColumn("user_leave_rate", "number", "Share of users who left, 0 to 1."),
        ExportColumn(
            "metadata",
            "json",
            "audience: unknown if no join was received; expected: the expected range of the score; "
            "gap: events of the minute were lost; quiet_until: end of a break; chat_open: false.",
        ),
    ),
)
_ANOMALIES: Final = ExportTable(
    "anomalies",
    "Incidents of sessions, each once.",
    _BY_TIME,
    (
        ExportColumn("id", "text", _ID_MEANING),
        ExportColumn("timestamp", "timestamp", "The tick at which it was detected."),
        *(_OF_TENANT_ID, _OF_SESSION_ID, _OF_EVENT_COLUMN),
        ExportColumn(
            "anomaly_type", "text", "SUDDEN_DROP, GRADUAL_DECLINE, MASS_EXIT or LOW_ENGAGEMENT."
        ),
        ExportColumn("severity", "text", "WARNING or CRITICAL."),
        ExportColumn("anomaly_score", "number", "How certain it is, 0 to 1."),
        ExportColumn("current_engagement", "number", "The score at that tick, 0 to 1."),
        ExportColumn("expected_engagement", "number", "The score that was expected, 0 to 1."),
        ExportColumn("deviation", "number", "The score minus the expected one."),
        ExportColumn("signals", "json", "The signals at that tick, as in engagement_metrics."),
        ExportColumn(
            "metadata",
            "json",
            "onset: when it began, as estimated; reason: a sentence; ended_at: when it was over; "
            "feedback: whether a person found it a problem.",
        ),
    ),
)
_INTERVENTIONS: Final = ExportTable(
    "interventions",
    "What the conductor did, suggested or chose not to do.",
    _BY_TIME,
    (
        ExportColumn("id", "text", _ID_MEANING),
        ExportColumn("timestamp", "timestamp", "The tick at which it was decided."),
        *(_OF_TENANT_ID, _OF_SESSION_ID, _OF_EVENT_COLUMN),
        ExportColumn("type", "text", "POLL, BROADCAST, NOTIFICATION, GAMIFICATION or HOLD."),
        ExportColumn(
            "status",
            "text",
            "HELD, SUGGESTED, APPROVED, DISMISSED, EXPIRED, SENT, EXECUTED, FAILED or COMPLETED.",
        ),
        ExportColumn("confidence", "number", "Confidence of the choice, 0 to 1.", is_nullable=True),
        ExportColumn("reasoning", "text", "Why, in a sentence.", is_nullable=True),
        ExportColumn(
            "outcome", "json", "The score before and after, once it is measured.", is_nullable=True
        ),
        ExportColumn(
            "metadata",
            "json",
            "What led to it: anomaly, probabilities, draw, steps and content.",
        ),
    ),
)
_PERFORMANCE: Final = ExportTable(
    "agent_performance",
    "The measured outcome of each trial of the conductor.",
    _BY_TIME,
    (
        ExportColumn("id", "text", _ID_MEANING),
        ExportColumn("time", "timestamp", "When the outcome was measured."),
        _OF_TENANT_ID,
        ExportColumn("agent_id", "text", "engagement-conductor."),
        ExportColumn(
            "intervention_type", "text", "POLL, BROADCAST, NOTIFICATION, GAMIFICATION or HOLD."
        ),
        ExportColumn(
            "success", "boolean", "Whether the score rose more than expected.", is_nullable=True
        ),
        ExportColumn(
            "engagement_delta",
            "number",
            "The score after minus the score before.",
            is_nullable=True,
        ),
        ExportColumn("confidence", "number", "Confidence of the choice, 0 to 1.", is_nullable=True),
        _OF_SESSION_ID._replace(is_nullable=True),
        ExportColumn("metadata", "json", "What the trial followed from."),
    ),
)

TABLES: Final[Mapping[str, ExportTable]] = {
    one.name: one for one in (_METRICS, _ANOMALIES, _INTERVENTIONS, _PERFORMANCE)
}
