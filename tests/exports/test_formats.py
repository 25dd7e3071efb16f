"""What files contain: CSV that no spreadsheet runs, JSON lines, and Parquet."""

import csv
import io
import json
import math
import sys
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from conductor_actors.exports import parquet as own_parquet
from conductor_actors.exports.dictionary import TABLES
from conductor_actors.exports.formats import FormatName, harmless, make_encoder
from conductor_actors.exports.parquet import ParquetUnavailable
from tests.exports.sample_records import AT, METRICS, encoded, metric

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


def lines(file: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.decode(), newline=""), strict=True))


def test_csv_is_rfc_4180() -> None:
    odd = metric(session_id='a "b", c', event_id="two\r\nlines")
    file = encoded([metric(), odd])
    header, first, *_ = file.split(b"\r\n")
    assert header.decode().split(",") == [one.name for one in METRICS.columns]
    assert first == (
        b"2026-01-04T12:00:05.000Z,acme,keynote,expo,0.30000000000000004,LOW,12.0,0.0,31,50,9.0,"
        b'0.02,"{""gap"": {""events"": 3}}"'
    )
    assert b'"a ""b"", c","two\r\nlines"' in file
    assert file.endswith(b"\r\n")
    assert b"\n" not in file.replace(b"\r\n", b"")
    assert lines(file)[1]["session_id"] == 'a "b", c'


def test_csv_begins_with_a_byte_order_mark_for_excel_only() -> None:
    assert encoded([metric()], for_excel=True) == b"\xef\xbb\xbf" + encoded([metric()])
    for format_name in ("jsonl", "parquet"):
        assert not encoded([metric()], format_name, for_excel=True).startswith(b"\xef")


FORMULAS = (
    *("=1+1", "+1", "-1", "@sum(a1)", "\t=1", "\r=1", "\n=1", "\x0b=1", "\x7f=1", "\x85=1"),
    *("\ufeff=1", "\u00a0=1", "-", "="),
    *("＝1", "＋1", "－1", "＠a"),  # noqa: RUF001 - the full-width forms are meant
)


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.parametrize("column", ["session_id", "event_id", "category", "metadata"])
def test_text_that_a_spreadsheet_would_run_has_an_apostrophe_before_it(
    text: str, column: str
) -> None:
    changed: dict[str, Any] = {column: text}
    [line] = lines(encoded([metric(**changed)]))
    assert line[column] == f"'{text}"


@pytest.mark.parametrize("text", ["keynote", "5", "Ä", "😀", "'", '"=1"', "a=1", "(-1)", "_", "§"])
def test_other_text_is_as_it_is(text: str) -> None:
    assert harmless(text) == text


@given(st.lists(TEXT, max_size=5))
def test_no_cell_with_text_begins_like_a_formula(texts: list[str]) -> None:
    for line in lines(encoded([metric(session_id=text) for text in texts])):
        assert not line["session_id"][:1] or line["session_id"][0] not in "=+-@\t\r\n"


@pytest.mark.parametrize(
    "number", [-0.098, -0.0, 5e-324, -1.7976931348623157e308, 0.1 + 0.2, 1e-7, -3.0]
)
def test_numbers_are_exact_and_negative_ones_stay_numbers(number: float) -> None:
    table = TABLES["anomalies"]
    values: list[Any] = [None] * len(table.columns)
    values[[one.name for one in table.columns].index("deviation")] = number
    [line] = lines(encoded([tuple(values)], table=table))
    assert line["deviation"] == repr(number)
    assert math.copysign(1, float(line["deviation"])) == math.copysign(1, number)
    parsed = json.loads(encoded([tuple(values)], "jsonl", table))
    assert (parsed["deviation"], parsed["id"]) == (number, None)


def test_times_are_in_utc_whatever_time_zone_the_database_has() -> None:
    india = timezone(timedelta(hours=5, minutes=30))
    for at, text in (
        (AT.astimezone(india), "2026-01-04T12:00:05.000Z"),
        (AT.replace(microsecond=1500), "2026-01-04T12:00:05.001500Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000Z"),
    ):
        assert lines(encoded([metric(time=at)]))[0]["time"] == text
        assert json.loads(encoded([metric(time=at)], "jsonl"))["time"] == text


def test_a_json_line_has_its_values_as_they_are() -> None:
    file = encoded([metric(session_id="=1\r\n\u2028"), metric(1)], "jsonl")
    first, second, rest = file.split(b"\n")
    assert rest == b""
    body = json.loads(first)
    assert list(body) == [one.name for one in METRICS.columns]
    assert body["session_id"] == "=1\r\n\u2028"
    assert body["metadata"] == {"gap": {"events": 3}}
    assert body["engagement_score"] == 0.30000000000000004
    assert json.loads(second)["time"] == "2026-01-04T12:00:10.000Z"


def test_parquet_has_the_same_rows_and_the_types_of_the_dictionary() -> None:
    records = [metric(number, active_users=number) for number in range(2500)]
    table = parquet.read_table(io.BytesIO(encoded(records, "parquet")))
    assert [field.name for field in table.schema] == [one.name for one in METRICS.columns]
    assert [str(field.type) for field in table.schema] == [
        "timestamp[us, tz=UTC]",
        *("string",) * 3,
        *("double", "string"),
        *("double",) * 2,
        *("int64",) * 2,
        *("double",) * 2,
        "string",
    ]
    assert [tuple(row.values()) for row in table.to_pylist()] == records


def test_parquet_is_written_in_groups_and_none_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_parquet, "ROW_GROUP_ROWS", 100)
    records = [metric(number) for number in range(250)]
    encoder = make_encoder("parquet", METRICS)
    sizes = [len(encoder.begin())]
    sizes += [len(encoder.encode(records[first : first + 50])) for first in range(0, 250, 50)]
    assert [size > 0 for size in sizes] == [True, False, True, False, True, False]
    file = io.BytesIO(encoded(records, "parquet", page_rows=50))
    read = parquet.ParquetFile(file)
    groups = [read.metadata.row_group(number).num_rows for number in range(3)]
    assert (read.metadata.num_row_groups, groups) == (3, [100, 100, 50])


@pytest.mark.parametrize("format_name", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("table", TABLES)
def test_an_export_without_rows_is_a_file(format_name: FormatName, table: str) -> None:
    file = encoded([], format_name, TABLES[table])
    names = [one.name for one in TABLES[table].columns]
    match format_name:
        case "csv":
            assert file.decode() == ",".join(names) + "\r\n"
        case "jsonl":
            assert file == b""
        case "parquet":
            assert parquet.read_table(io.BytesIO(file)).schema.names == names


def test_a_parquet_file_that_was_cut_off_can_not_be_read() -> None:
    file = encoded([metric(number) for number in range(50)], "parquet")
    with pytest.raises(Exception, match=r"footer|magic bytes"):
        parquet.read_table(io.BytesIO(file[:-10]))


def test_without_the_library_parquet_is_refused_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ParquetUnavailable, match=r"pip install 'conductor-actors\[parquet\]'"):
        make_encoder("parquet", METRICS)
    for format_name in ("csv", "jsonl"):
        assert encoded([metric()], format_name)


def test_booleans_are_true_and_false() -> None:
    table = TABLES["agent_performance"]
    at = [one.name for one in table.columns].index("success")
    found: list[Any] = []
    for value in (True, False, None):
        record: list[Any] = [None] * len(table.columns)
        record[at] = value
        found.append(lines(encoded([tuple(record)], table=table))[0]["success"])
    assert found == ["true", "false", ""]
