"""Parse the parameters of requests for exports."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple, get_args

from conductor_actors.dashboard.access.auth import Denied
from conductor_actors.dashboard.http.query import check_names, parse_instant
from conductor_actors.dashboard.http.session_query import check_event
from conductor_actors.exports.dictionary import TABLES, ExportTable
from conductor_actors.exports.formats import FormatName

MAX_NAME_CHARS: Final = 80  # of an id in the name of a file

_SWITCH: Final = {None: False, "false": False, "true": True}
_FORMATS: Final[Mapping[str, FormatName]] = {name: name for name in get_args(FormatName)}
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9._-]+")


class ExportQuery(NamedTuple):
    """What is requested: a table, a session or an event or neither, a range, and a format."""

    table: ExportTable
    format: FormatName
    is_for_excel: bool
    session_id: str | None
    event_id: str | None
    first_ms: int | None
    until_ms: int | None

    @property
    def file_name(self) -> str:
        """The name under which browsers save the file."""
        named = _NOT_IN_NAMES.sub("-", self.session_id or self.event_id or "")[:MAX_NAME_CHARS]
        return "-".join(filter(None, (self.table.name, named.strip("-.")))) + f".{self.format}"


def parse_export(query: Mapping[str, str]) -> ExportQuery:
    """Parse `session`, `event`, `from`, `to`, `table`, `format` and `excel`.

    Raise `Denied` for what is invalid, except for the id of a session that is.
    """
    check_names(query, "session", "event", "from", "to", "table", "format", "excel")
    table = TABLES.get(query.get("table", "engagement_metrics"))
    if table is None:
        raise Denied(400, "invalid_table", f"table is one of {', '.join(TABLES)}")
    format_name = _FORMATS.get(query.get("format", "csv"))
    if format_name is None:
        raise Denied(400, "invalid_format", f"format is one of {', '.join(_FORMATS)}")
    is_for_excel = _SWITCH.get(query.get("excel"))
    if is_for_excel is None or (is_for_excel and format_name != "csv"):
        raise Denied(400, "invalid_excel", "excel is true or false, and true with csv only")
    session_id, event_id = query.get("session"), query.get("event")
    if session_id is not None and event_id is not None:
        raise Denied(400, "invalid_selection", "name a session or an event, not both")
    if event_id is not None:
        check_event(event_id)
    first_ms, until_ms = parse_instant(query, "from", None), parse_instant(query, "to", None)
    if first_ms is not None and until_ms is not None and first_ms >= until_ms:
        raise Denied(400, "invalid_range", "from must be before to")
    named = session_id, event_id
    return ExportQuery(table, format_name, is_for_excel, *named, first_ms, until_ms)
