"""What is said of the actors, and of a handler that takes too long."""

import pytest
from structlog.typing import EventDict

from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.actors.stats import Stats
from conductor_actors.log_events import VERSION
from tests.actors.cast import Cast
from tests.actors.session_events import poison
from tests.actors.turns import Held
from tests.support.fakes.fake_clock import FakeClock
from tests.support.score_rows import AT_MS


@pytest.fixture
def cast(dispatcher: Dispatcher) -> Cast:
    return Cast(dispatcher)


def test_every_5_s_each_kind_of_actor_is_described(cast: Cast, log_lines: list[EventDict]) -> None:
    mailbox = ThreadMailbox(cast.clock)
    stats = Stats(cast.dispatcher, cast.sessions, {"writer": mailbox}, cast.clock)
    cast.play(cast.enter("s"), [poison()], AT_MS + 5000)
    mailbox.tell("waiting")
    stats.count_failure("writer")
    log_lines.clear()
    cast.clock.advance(4.9)
    stats.report()
    assert log_lines == []
    cast.clock.advance(0.1)
    stats.report()
    stats.report()
    service, sessions, writer, *census = log_lines
    assert (service["event"], service["vocabulary"], service["uptime_s"]) == (
        "service_stats",
        VERSION,
        5,
    )
    assert [line["event"] for line in census] == ["session_stats", "tenant_stats"]
    assert {key: sessions[key] for key in ("kind", "count", "handled", "failures")} == {
        "kind": "session",
        "count": 1,
        "handled": 2,
        "failures": 1,
    }
    assert (writer["kind"], writer["mailbox_depth"], writer["oldest_s"]) == ("writer", 1, 5.0)
    assert writer["failures"] == 1


def test_a_handler_slower_than_a_second_is_named_with_its_stack(
    log_lines: list[EventDict],
) -> None:
    clock = FakeClock()
    dispatcher = Dispatcher(1, clock)
    cast = Cast(dispatcher)
    stats = Stats(dispatcher, cast.sessions, {}, clock)
    held = Held(dispatcher, "sluggish")
    clock.advance(1.5)
    stats.report()
    held.release()
    (line,) = log_lines
    assert (line["event"], line["name"], line["running_s"]) == ("handler_slow", "sluggish", 1.5)
    assert "_hold" in line["stack"]
    dispatcher.close()
