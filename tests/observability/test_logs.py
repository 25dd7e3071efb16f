"""The formats of log lines, and copies of them."""

import json
from collections.abc import Iterator
from io import StringIO

import pytest
import structlog

from conductor_actors.log_events import SessionStats, TenantStats, emit
from conductor_actors.observability import logs

log = structlog.get_logger()


@pytest.fixture(autouse=True)
def _reset() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_a_copy_of_a_line_is_json_even_if_the_log_is_text() -> None:
    stream, copies = StringIO(), list[str]()
    logs.configure("info", "text", stream)
    with logs.copy_lines_to(copies.append):
        log.info("batch_written", rows=3)
    log.info("batch_written", rows=4)
    [copy] = map(json.loads, copies)
    assert (copy["event"], copy["level"], copy["rows"]) == ("batch_written", "info", 3)
    assert not stream.getvalue().startswith("{")


@pytest.mark.parametrize("style", ["text", "json"])
def test_events_with_lists_are_logged_as_json_only(style: str) -> None:
    stream, copies = StringIO(), list[str]()
    logs.configure("info", "text" if style == "text" else "json", stream)
    with logs.copy_lines_to(copies.append):
        emit(SessionStats(count=1, sessions=[]))
        emit(TenantStats(count=1, tenants=[]))
    assert len(copies) == 2
    assert len(stream.getvalue().splitlines()) == (0 if style == "text" else 2)


def test_a_copy_is_bounded_however_long_an_error_is() -> None:
    stream, copies = StringIO(), list[str]()
    logs.configure("info", "json", stream)
    with logs.copy_lines_to(copies.append):
        log.error("actor_failed", error="x" * 1_000_000, exc_info=ValueError("y" * 1_000_000))
    [copy] = copies
    assert len(copy) < 10_000
    assert len(stream.getvalue()) > 1_000_000
    assert "Traceback" in json.loads(copy)["exception"] or "ValueError" in copy
