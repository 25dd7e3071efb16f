"""Exports over HTTP: what is in a file, who gets it, and what is refused."""

import csv
import io
import json
import sys
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pyarrow import parquet

from conductor_actors.adapters.postgres.history import export_reader
from conductor_actors.dashboard.http.history import export_streams
from conductor_actors.dashboard.server import Dashboard
from conductor_actors.exports.dictionary import TABLES
from conductor_actors.instants import to_iso
from tests.dashboard.clients import SECRET, token
from tests.dashboard.conftest import Serve
from tests.dashboard.http.conftest import Fetch, error, iso
from tests.dashboard.raw import RawSocket
from tests.support.score_rows import AT_MS, row
from tests.support.stored_anomalies import anomaly, store_anomalies

Write = Callable[..., None]

TICK_MS = 5000
PATH = "/api/v1/export"


@pytest.fixture
def tenant() -> str:
    return f"t-{uuid4().hex}"


def rows_of(session_id: str, tenant: str, ticks: int = 3, event_id: str = "expo") -> list[Any]:
    return [
        row(session_id, AT_MS + tick * TICK_MS, tenant_id=tenant, event_id=event_id)
        for tick in range(ticks)
    ]


def cells(response: httpx.Response, *columns: str) -> list[tuple[str, ...]]:
    assert response.status_code == 200, response.text
    found = csv.DictReader(io.StringIO(response.text, newline=""), strict=True)
    return [tuple(line[column] for column in columns) for line in found]


def test_the_rows_of_a_session_are_in_the_order_of_time(
    fetch: Fetch, store: Write, tenant: str
) -> None:
    rows = [*rows_of("a", tenant), *rows_of("b", tenant)]
    store(*reversed(rows))
    response = fetch(PATH, params={"session": "a", "tenant": tenant})
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == (
        'attachment; filename="engagement_metrics-a.csv"'
    )
    assert response.headers["cache-control"] == "no-store"
    times = [to_iso(AT_MS + tick * TICK_MS, "milliseconds") for tick in range(3)]
    found = cells(response, "time", "tenant_id", "session_id", "engagement_score", "total_users")
    assert found == [(time, tenant, "a", "0.6018", "50") for time in times]


def test_an_event_has_the_rows_of_its_sessions_and_everything_those_of_the_tenant(
    fetch: Fetch, store: Write, tenant: str
) -> None:
    store(*rows_of("b", tenant), *rows_of("a", tenant), *rows_of("c", tenant, event_id="fair"))
    store(*rows_of("d", f"{tenant}-2"))
    of_event = fetch(PATH, params={"event": "expo", "tenant": tenant})
    assert cells(of_event, "session_id") == [("a",)] * 3 + [("b",)] * 3
    everything = fetch(PATH, params={"tenant": tenant})
    assert cells(everything, "session_id") == [(one,) for one in "aaabbbccc"]
    assert 'filename="engagement_metrics.csv"' in everything.headers["content-disposition"]


def test_a_range_has_its_begin_and_not_its_end(fetch: Fetch, store: Write, tenant: str) -> None:
    store(*rows_of("a", tenant, 5), *rows_of("b", tenant, 5))
    during = {"from": iso(AT_MS + TICK_MS), "to": iso(AT_MS + 3 * TICK_MS), "tenant": tenant}
    for named, sessions in (({"session": "a"}, "aa"), ({"event": "expo"}, "aabb"), ({}, "aabb")):
        found = cells(fetch(PATH, params=during | named), "session_id", "time")
        assert [session for session, _ in found] == [*sessions]
        assert {time for _, time in found} == {
            to_iso(AT_MS + tick * TICK_MS, "milliseconds") for tick in (1, 2)
        }


@pytest.mark.parametrize("page_rows", [1, 2, 3, 7])
def test_no_row_is_missing_or_twice_however_small_pages_are(
    fetch: Fetch, store: Write, tenant: str, page_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_streams, "PAGE_ROWS", page_rows)
    monkeypatch.setattr(export_reader, "MAX_LISTED_SESSIONS", 2)
    for number, ticks in enumerate((1, 4, 1, 1, 7, 2)):
        store(*rows_of(f"s{number}", tenant, ticks))
    found = cells(fetch(PATH, params={"tenant": tenant}), "session_id", "time")
    assert len(found) == len(set(found)) == 16
    assert found == sorted(found)


def test_json_lines_and_parquet_have_the_same_rows(fetch: Fetch, store: Write, tenant: str) -> None:
    store(*rows_of("a", tenant))
    lines = fetch(PATH, params={"session": "a", "tenant": tenant, "format": "jsonl"})
    assert lines.headers["content-type"] == "application/x-ndjson"
    found = [json.loads(line) for line in lines.text.splitlines()]
    assert [one["engagement_score"] for one in found] == [0.6018] * 3
    assert found[0]["metadata"] == {}
    file = fetch(PATH, params={"session": "a", "tenant": tenant, "format": "parquet"})
    assert file.headers["content-type"] == "application/vnd.apache.parquet"
    read = parquet.read_table(io.BytesIO(file.content)).to_pylist()
    assert [one["time"].isoformat() for one in read] == [
        one["time"].replace("Z", "+00:00").replace(".000", "") for one in found
    ]
    assert [one["active_users"] for one in read] == [31] * 3


def test_excel_gets_a_byte_order_mark(fetch: Fetch, store: Write, tenant: str) -> None:
    store(*rows_of("a", tenant))
    named = {"session": "a", "tenant": tenant}
    plain = fetch(PATH, params=named).content
    assert fetch(PATH, params=named | {"excel": "true"}).content == b"\xef\xbb\xbf" + plain
    assert fetch(PATH, params=named | {"excel": "false"}).content == plain


def test_anomalies_are_exported_by_time(
    fetch: Fetch, store: Write, tenant: str, shared_database: str
) -> None:
    store(*rows_of("a", tenant), *rows_of("b", tenant, event_id="fair"))
    one = anomaly(id=str(uuid4()), tenant_id=tenant, session_id="a", event_id="expo")
    other = one._replace(id=str(uuid4()), at_ms=AT_MS - 5000, session_id="b", event_id="fair")
    store_anomalies(shared_database, one, other)
    query = {"tenant": tenant, "table": "anomalies"}
    assert cells(fetch(PATH, params=query), "id", "session_id") == [
        (other.id, "b"),
        (one.id, "a"),
    ]
    assert cells(fetch(PATH, params=query | {"session": "a"}), "id") == [(one.id,)]
    assert cells(fetch(PATH, params=query | {"event": "fair"}), "id") == [(other.id,)]
    assert cells(fetch(PATH, params=query | {"from": iso(one.at_ms)}), "id") == [(one.id,)]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("named", [{}, {"session": "a"}, {"event": "expo"}])
def test_every_table_can_be_exported(
    fetch: Fetch, store: Write, tenant: str, table: str, named: dict[str, str]
) -> None:
    store(*rows_of("a", tenant))
    response = fetch(PATH, params={"table": table, "tenant": tenant} | named)
    header = response.text.split("\r\n")[0].split(",")
    assert header == [one.name for one in TABLES[table].columns]


def test_the_dictionary_describes_the_columns_of_every_file(
    fetch: Fetch, store: Write, tenant: str
) -> None:
    store(*rows_of("a", tenant))
    tables = fetch(f"{PATH}/columns").json()["tables"]
    assert [one["name"] for one in tables] == list(TABLES)
    for one in tables:
        response = fetch(PATH, params={"table": one["name"], "tenant": tenant})
        header = response.text.split("\r\n")[0].split(",")
        assert header == [column["name"] for column in one["columns"]]
        assert all(column["description"] for column in one["columns"])


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"session": "a", "event": "expo"}, (400, "invalid_selection")),
        ({"session": ""}, (400, "invalid_session")),
        ({"session": "x" * 256}, (400, "invalid_session")),
        ({"event": "a\0"}, (400, "invalid_event")),
        ({"table": "sessions"}, (400, "invalid_table")),
        ({"table": "engagement_metrics; DROP TABLE sessions"}, (400, "invalid_table")),
        ({"format": "xlsx"}, (400, "invalid_format")),
        ({"format": "CSV"}, (400, "invalid_format")),
        ({"excel": "yes"}, (400, "invalid_excel")),
        ({"excel": "true", "format": "jsonl"}, (400, "invalid_excel")),
        ({"from": "yesterday"}, (400, "invalid_time")),
        ({"from": "2026-01-04T12:00:00"}, (400, "invalid_time")),
        ({"from": iso(AT_MS), "to": iso(AT_MS)}, (400, "invalid_range")),
        ({"limit": "5"}, (400, "unknown_parameter")),
        ({"session": "unknown"}, (404, "unknown_session")),
        ({"event": "unknown"}, (404, "unknown_event")),
        ({"session": "__proto__"}, (404, "unknown_session")),
    ],
)
def test_what_is_wrong_with_a_request_is_said(
    fetch: Fetch, query: dict[str, str], code: tuple[int, str]
) -> None:
    assert error(fetch(PATH, params=query)) == code


def test_without_the_library_parquet_is_refused_with_the_line_that_installs_it(
    fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    refused = fetch(PATH, params={"format": "parquet"})
    assert error(refused) == (501, "parquet_unavailable")
    assert "pip install 'conductor-actors[parquet]'" in refused.json()["error"]["message"]


def test_any_id_makes_the_name_of_a_file(fetch: Fetch, store: Write, tenant: str) -> None:
    for session_id, name in (
        ('a/b"\r\n; x', "engagement_metrics-a-b-x.csv"),
        ("😀" * 255, "engagement_metrics.csv"),
        ("../..", "engagement_metrics.csv"),
        ("x" * 255, f"engagement_metrics-{'x' * 80}.csv"),
    ):
        store(*rows_of(session_id, tenant, 1))
        response = fetch(PATH, params={"session": session_id, "tenant": tenant})
        assert response.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert cells(response, "session_id") == [(session_id,)]


def test_a_head_request_has_no_body_and_reads_no_rows(
    dashboard: Dashboard, store: Write, tenant: str
) -> None:
    store(*rows_of("a", tenant))
    url = f"{dashboard.address}api/v1/export?tenant={tenant}"
    response = httpx.head(url)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"


def test_a_token_exports_what_it_gives_access_to_and_no_more(serve: Serve, store: Write) -> None:
    one, two, event = (f"{name}-{uuid4().hex}" for name in ("one", "two", "expo"))
    store(*rows_of(one, "acme", 1, event), *rows_of(two, "acme", 1, "fair"))
    store(*rows_of(one, "globex", 1, event))
    dashboard = serve(jwt_secret=SECRET)

    def export(claims: dict[str, Any] | None, **query: str) -> httpx.Response:
        headers = {}
        if claims is not None:
            headers["Authorization"] = f"Bearer {token(claims=claims)}"
        return httpx.get(f"{dashboard.address}api/v1/export", params=query, headers=headers)

    assert error(export(None)) == (401, "token_missing")
    assert error(export({}, tenant="globex")) == (403, "other_tenant")
    assert {(one,), (two,)} <= set(cells(export({}), "session_id"))
    assert {tenant for (tenant,) in cells(export({}), "tenant_id")} == {"acme"}
    for claims in ({"sessions": [one]}, {"events": [event]}):
        assert cells(export(claims), "session_id") == [(one,)]
        assert cells(export(claims, session=one), "session_id") == [(one,)]
        assert cells(export(claims, event=event), "session_id") == [(one,)]
        assert error(export(claims, session=two)) == (403, "other_session")
        assert error(export(claims, event="fair")) == (404, "unknown_event")
        assert cells(export(claims, table="anomalies"), "id") == []
    assert cells(export({"sessions": []}), "session_id") == []
    columns = httpx.get(f"{dashboard.address}api/v1/export/columns")
    assert error(columns) == (401, "token_missing")


def test_http_1_0_is_refused_because_a_cut_off_file_would_look_complete(
    dashboard: Dashboard,
) -> None:
    with RawSocket(dashboard.address) as client:
        client.send(f"GET /api/v1/export HTTP/1.0\r\nHost: {client.host}\r\n\r\n".encode())
        assert client.is_closed()
    assert client.received.startswith(b"HTTP/1.1 426 ")
    assert b"http_1_1_required" in client.received
