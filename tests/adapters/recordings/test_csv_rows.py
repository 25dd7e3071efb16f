"""Rows as CSV, read back as any program reads CSV."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from conductor_actors.adapters.recordings.csv_rows import CsvRows, read_rows
from conductor_actors.domain.rows import SIGNAL_COLUMNS
from conductor_actors.domain.scoring import ScoreRow, Signals
from conductor_actors.errors import ConfigError
from tests.support.score_rows import AT_MS, record, row


def to_csv(*rows: ScoreRow) -> str:
    file = io.StringIO(newline="")
    csv_rows = CsvRows(file)
    csv_rows.write(rows[:1])
    csv_rows.write(rows[1:])
    return file.getvalue()


def read_back(*rows: ScoreRow) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(to_csv(*rows), newline="")))


def test_the_columns_are_those_of_the_table() -> None:
    assert to_csv() == (
        "time,tenant_id,session_id,event_id,engagement_score,category,chat_msgs_per_min,"
        "poll_participation,active_users,total_users,reactions_per_min,user_leave_rate\n"
    )


def test_a_row_is_one_line() -> None:
    assert to_csv(row()).splitlines()[1:] == [
        "2026-01-04T12:00:00+00:00,default,session,event,0.6018,HIGH,12.0,0.4,31,50,9.0,0.02"
    ]


def test_rows_come_in_the_order_they_were_written() -> None:
    rows = [row(f"s{number}", AT_MS + 5000 * number) for number in range(5)]
    assert [line["session_id"] for line in read_back(*rows)] == ["s0", "s1", "s2", "s3", "s4"]


numbers = st.floats(0, allow_nan=False, allow_infinity=False)
counts = st.integers(0, 2**53)


@given(numbers, st.builds(Signals, numbers, numbers, counts, counts, numbers, numbers))
def test_numbers_read_back_exactly(score: float, signals: Signals) -> None:
    [line] = read_back(row(score=score, signals=signals))
    values = [float(line[column]) for column in SIGNAL_COLUMNS]
    assert (float(line["engagement_score"]), *values) == (score, *astuple(signals))


ids = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@given(ids, ids)
@pytest.mark.parametrize("tenant_id", ["default", "acme"])
def test_ids_of_any_text_read_back_exactly(tenant_id: str, session_id: str, event_id: str) -> None:
    lines = read_back(row(session_id, event_id=event_id, tenant_id=tenant_id), row("next"))
    assert [line["session_id"] for line in lines] == [session_id, "next"]
    assert (lines[0]["event_id"], lines[0]["tenant_id"]) == (event_id, tenant_id)


@pytest.mark.parametrize("odd", ["a,b", 'a"b', '"', "a\nb", "a\rb", "a\r\nb", "\r", " a ", "a;b"])
def test_ids_may_have_the_separators_of_csv(odd: str) -> None:
    [first, second] = read_back(row(odd), row("next", event_id=odd))
    assert (first["session_id"], second["event_id"]) == (odd, odd)
    assert second["user_leave_rate"] == "0.02"


END_OF_TIME_MS = 10**14


@given(ids, ids, numbers, st.builds(Signals, numbers, numbers, counts, counts, numbers, numbers))
def test_rows_read_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory,
    session_id: str,
    event_id: str,
    score: float,
    signals: Signals,
) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    rows = [row(session_id, event_id=event_id, score=score, signals=signals), row(at_ms=AT_MS + 1)]
    path.write_text(to_csv(*rows), newline="")
    assert repr(list(read_rows(path, 0, END_OF_TIME_MS))) == repr(list(map(record, rows)))


def test_only_the_rows_of_the_time_range_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    rows = [row(at_ms=AT_MS + number) for number in range(5)]
    path.write_text(to_csv(*rows))
    found = read_rows(path, AT_MS + 1, AT_MS + 3)
    assert list(found) == list(map(record, rows[1:4]))


GOOD = to_csv(row()).splitlines()[1]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "its first line is not time,tenant_id"),
        ("a,b\n1,2\n", "its first line is not time,tenant_id"),
        (to_csv() + GOOD + "\n" + GOOD[:-20] + "\n", "row 2 can't be read"),
        (to_csv() + GOOD.replace("0.6018", "high"), "row 1 can't be read"),
        (to_csv() + GOOD.replace(",31,", ",3.1,"), "row 1 can't be read"),
        (to_csv() + GOOD.replace("+00:00", ""), "row 1 can't be read"),
        (to_csv() + GOOD + ",more", "row 1 can't be read"),
        (to_csv(row(), row(at_ms=AT_MS - 1)), "row 2 is older than the one before it"),
    ],
)
def test_an_invalid_file_is_refused_with_the_number_of_its_row(
    text: str, complaint: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"rows.csv: {complaint}"):
        list(read_rows(path, 0, END_OF_TIME_MS))


def test_the_error_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.csv: No such file"):
        list(read_rows(tmp_path / "nothing.csv", 0, END_OF_TIME_MS))
