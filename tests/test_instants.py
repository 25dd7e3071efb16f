from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.instants import from_iso, to_datetime, to_iso, to_ms

END_MS = 253_402_300_800_000  # of the year 9999

instants_ms = st.integers(0, END_MS - 1)


@given(instants_ms)
def test_an_instant_reads_back_exactly_from_each_of_its_forms(ms: int) -> None:
    assert to_ms(to_datetime(ms)) == ms
    for text in (to_iso(ms), to_iso(ms, "milliseconds"), to_iso(ms, utc="+00:00")):
        assert to_ms(from_iso(text)) == ms


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({}, "2026-01-04T12:00:05.500000Z"),
        ({"precision": "milliseconds"}, "2026-01-04T12:00:05.500Z"),
        ({"precision": "seconds"}, "2026-01-04T12:00:05Z"),
        ({"utc": "+00:00"}, "2026-01-04T12:00:05.500000+00:00"),
    ],
)
def test_each_wire_keeps_its_precision_and_its_name_for_utc(form: Any, text: str) -> None:
    assert to_iso(1_767_528_005_500, **form) == text


def test_a_whole_second_has_no_fraction_unless_the_wire_wants_one() -> None:
    assert to_iso(1_767_528_005_000) == "2026-01-04T12:00:05Z"
    assert to_iso(1_767_528_005_000, "milliseconds") == "2026-01-04T12:00:05.000Z"


@given(instants_ms, st.integers(-1439, 1439))
def test_another_time_zone_names_the_same_instant(ms: int, offset_min: int) -> None:
    ms = min(max(ms, 10**9), END_MS - 10**9)
    at = to_datetime(ms).astimezone(timezone(timedelta(minutes=offset_min)))
    assert to_ms(from_iso(at.isoformat())) == ms


def test_a_text_without_a_time_zone_is_utc_wherever_the_process_runs() -> None:
    assert from_iso("2026-01-04T12:00:05") == datetime(2026, 1, 4, 12, 0, 5, tzinfo=UTC)


def test_a_datetime_without_a_time_zone_is_no_instant() -> None:
    with pytest.raises(TypeError):
        to_ms(datetime(2026, 1, 4))  # noqa: DTZ001 - what it is about


def test_what_has_no_date_is_an_error() -> None:
    with pytest.raises(OverflowError):
        to_iso(END_MS)
    with pytest.raises(ValueError, match="yesterday"):
        from_iso("yesterday")
