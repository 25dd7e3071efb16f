"""The part of the OpenAPI document that describes exports."""

from typing import Any, get_args

from conductor_actors.dashboard.http.openapi_parts import (
    TENANT_PARAMETER,
    get,
    query_parameter,
    refusal_responses,
    time_parameter,
)
from conductor_actors.dashboard.stored_bodies import ExportColumns
from conductor_actors.exports.dictionary import TableName
from conductor_actors.exports.formats import MEDIA_TYPES


def export_paths() -> dict[str, Any]:
    """Return the paths."""
    return {
        "/api/v1/export": {"get": _export()},
        "/api/v1/export/columns": get(
            "Return the tables that can be exported, and their columns.",
            ExportColumns,
            (TENANT_PARAMETER,),
        ),
    }


def _export() -> dict[str, Any]:
    contents = {
        media.partition(";")[0]: {"schema": {"type": "string"}} for media in MEDIA_TYPES.values()
    }
    return {
        "summary": "Return stored rows as a file, however many: of a session, of an event, or of "
        "all that the token gives access to. A file that can't be completed ends with an aborted "
        "connection. In CSV, text that a spreadsheet would run as a formula has an apostrophe "
        "before it.",
        "parameters": _parameters(),
        "security": [{"token": []}, {}],
        "responses": {"200": {"description": "The file.", "content": contents}}
        | refusal_responses(
            {
                "404": "Nothing is stored of the session or event.",
                "426": "The request uses HTTP/1.0.",
                "501": "This server has no library for Parquet.",
            }
        ),
    }


def _parameters() -> list[dict[str, Any]]:
    identity = {"type": "string", "minLength": 1, "maxLength": 255}
    tables, formats = list(get_args(TableName)), list(MEDIA_TYPES)
    return [
        query_parameter("session", identity, "Only rows of this session."),
        query_parameter("event", identity, "Only rows of the sessions of this event."),
        time_parameter("from", "The earliest time. Default: any."),
        time_parameter("to", "The latest time, exclusive. Default: any."),
        query_parameter(
            "table", {"type": "string", "enum": tables, "default": tables[0]}, "Which rows."
        ),
        query_parameter(
            "format", {"type": "string", "enum": formats, "default": formats[0]}, "The format."
        ),
        query_parameter(
            "excel",
            {"type": "boolean", "default": False},
            "With `csv`: begin with a byte order mark, so that Excel reads it as UTF-8.",
        ),
        TENANT_PARAMETER,
    ]
