"""Records of exports, as the database returns them, and encoders applied to them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from conductor_actors.exports.dictionary import TABLES, ExportTable
from conductor_actors.exports.formats import ExportEncoder, FormatName, make_encoder
from conductor_actors.exports.selections import ExportRecord

METRICS = TABLES["engagement_metrics"]
AT = datetime(2026, 1, 4, 12, 0, 5, tzinfo=UTC)


def metric(number: int = 0, **changes: Any) -> ExportRecord:
    values = {
        "time": AT + timedelta(seconds=5 * number),
        "tenant_id": "acme",
        "session_id": "keynote",
        "event_id": "expo",
        "engagement_score": 0.1 + 0.2,
        "category": "LOW",
        "chat_msgs_per_min": 12.0,
        "poll_participation": 0.0,
        "active_users": 31,
        "total_users": 50,
        "reactions_per_min": 9.0,
        "user_leave_rate": 0.02,
        "metadata": '{"gap": {"events": 3}}',
    }
    assert changes.keys() <= values.keys()
    return tuple((values | changes).values())


def encoded(
    records: Sequence[ExportRecord],
    format_name: FormatName = "csv",
    table: ExportTable = METRICS,
    page_rows: int = 1000,
    **options: Any,
) -> bytes:
    """Return the file with these records, which is encoded in pages."""
    encoder: ExportEncoder = make_encoder(format_name, table, **options)
    pages = [records[first : first + page_rows] for first in range(0, len(records), page_rows)]
    return encoder.begin() + b"".join(map(encoder.encode, pages)) + encoder.end()
