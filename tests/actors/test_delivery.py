"""What webhooks receive, with a real database and real receivers."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from structlog.typing import EventDict

from conductor_actors.adapters.postgres.migrations import migrate
from conductor_actors.domain.webhook_retries import MAX_IN_FLIGHT_PER_RECEIVER
from conductor_actors.errors import ConfigError, Unavailable
from tests.actors.delivery_harness import (
    NOW_MS,
    TALK,
    DeliveryHarness,
    last_row,
    talk,
)
from tests.support.webhook_receiver import SECRET, Received, Receiver, Reply

DAY_S = 86_400.0
HOUR_S = 3600.0


@pytest.fixture
def database(postgres_url: str, fresh_database: Callable[[str], str]) -> str:
    url = fresh_database(postgres_url)
    migrate(url)
    return url


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def harness(database: str, receiver: Receiver) -> Iterator[DeliveryHarness]:
    with DeliveryHarness(database, {"default": receiver.url}) as harness:
        yield harness


@contextmanager
def two_tenants(database: str, deadline_s: float) -> Iterator[tuple[DeliveryHarness, Receiver]]:
    """Yield a harness of two tenants, and the receiver of `acme`, which does not answer."""
    with Receiver() as slow, Receiver() as receiver:
        never = threading.Event()
        slow.reply = lambda _: Reply(wait=never)
        urls = {"acme": slow.url, "default": receiver.url}
        with DeliveryHarness(database, urls, deadline_s) as harness:
            yield harness, receiver
        never.set()


def types(receiver: Receiver, session: str) -> list[str]:
    return [each.event["type"] for each in receiver.received if each.session == session]


def test_a_webhook_receives_each_event_of_a_session_once_and_in_order(
    harness: DeliveryHarness, receiver: Receiver
) -> None:
    harness.store_rows(*talk("a"), *talk("b"))
    harness.settle()
    harness.store_rows(*talk("a"))
    harness.settle()
    assert types(receiver, "a") == types(receiver, "b") == TALK
    assert len({*receiver.ids()}) == 6
    assert harness.states() == []


def test_the_end_of_a_session_comes_with_its_report(
    harness: DeliveryHarness, receiver: Receiver
) -> None:
    harness.store_rows(last_row("keynote"))
    harness.settle()
    [received] = receiver.received
    assert received.event["type"] == "session.ended"
    assert received.event["data"]["kind"] == "session"
    assert received.event["data"]["session"]["sessionId"] == "keynote"
    assert received.event["data"]["session"]["tenantId"] == "default"


def test_each_attempt_has_the_same_key_and_bytes_although_the_report_has_changed(
    harness: DeliveryHarness, receiver: Receiver
) -> None:
    replies = iter([500, 503, 204])
    receiver.reply = lambda _: Reply(next(replies))
    harness.store_rows(last_row("a"))
    harness.settle()
    harness.pass_time(HOUR_S)
    assert len(receiver.received) == 3
    assert len({(each.id, each.body) for each in receiver.received}) == 1
    assert len(harness.reports.calls) == 1


def test_an_event_that_fails_holds_up_its_session_and_no_other(
    harness: DeliveryHarness, receiver: Receiver
) -> None:
    is_well = threading.Event()

    def reply(received: Received) -> Reply:
        return Reply(204 if received.session != "a" or is_well.is_set() else 422)

    receiver.reply = reply
    harness.store_rows(*talk("a"), *talk("b"))
    harness.settle()
    assert types(receiver, "a") == TALK[:1]
    assert types(receiver, "b") == TALK
    is_well.set()
    harness.pass_time(60)
    accepted = types(receiver, "a")
    assert accepted[-3:] == TALK
    assert {*accepted[:-2]} == {TALK[0]}


def test_a_receiver_that_was_down_gets_all_when_it_is_back_in_order(
    harness: DeliveryHarness, receiver: Receiver
) -> None:
    port = receiver.port
    receiver.close()
    sessions = [f"s{number}" for number in range(10)]
    harness.store_rows(*(each for session in sessions for each in talk(session)))
    harness.pass_time(60, step_s=1)
    with Receiver(port) as back:
        harness.pass_time(200, step_s=1)
        assert all(types(back, session) == TALK for session in sessions)
        assert len({*back.ids()}) == len(back.ids())
    assert harness.states() == []
    receiver.__init__()  # type: ignore[misc]  # so that it can be closed again


def test_a_day_without_the_receiver_loses_nothing(
    harness: DeliveryHarness, receiver: Receiver
) -> None:
    port = receiver.port
    receiver.close()
    harness.store_rows(*talk("a"))
    harness.pass_time(DAY_S, step_s=120)
    attempts = harness.sender.begun
    assert 50 < attempts < 500
    with Receiver(port) as back:
        harness.pass_time(HOUR_S)
        assert types(back, "a") == TALK
    receiver.__init__()  # type: ignore[misc]


def test_after_more_than_a_day_an_event_is_dead_until_it_is_retried(
    harness: DeliveryHarness, receiver: Receiver, log_lines: list[EventDict]
) -> None:
    receiver.reply = lambda _: Reply(500)
    harness.store_rows(last_row("a"))
    harness.settle()
    harness.pass_time(27 * HOUR_S, step_s=300)
    assert harness.states() == ["dead"]
    [given_up] = [line for line in log_lines if line["event"] == "webhook_given_up"]
    assert given_up["error"] == "HTTP 500"
    receiver.reply = lambda _: Reply(204)
    harness.asked.retry(None, None, harness.now_ms)
    harness.pass_time(120)
    assert harness.states() == []


def test_an_event_that_is_not_wanted_any_more_is_dead_at_once_and_the_next_is_sent(
    harness: DeliveryHarness, receiver: Receiver
) -> None:
    receiver.reply = lambda each: Reply(410 if each.event["type"] == TALK[0] else 204)
    harness.store_rows(*talk("a"))
    harness.settle()
    assert types(receiver, "a") == TALK
    assert harness.states() == ["dead"]


def test_a_receiver_is_not_sent_to_before_the_time_that_it_names(
    harness: DeliveryHarness, receiver: Receiver
) -> None:
    receiver.reply = lambda _: Reply(429, {"retry-after": "1800"})
    harness.store_rows(last_row("a"), last_row("b"))
    harness.settle()
    sent = len(receiver.received)
    receiver.reply = lambda _: Reply(204)
    harness.pass_time(1790)
    assert len(receiver.received) == sent
    harness.pass_time(1000)
    assert harness.states() == []


def test_a_slow_receiver_does_not_delay_those_of_other_tenants(database: str) -> None:
    with two_tenants(database, deadline_s=5.0) as (harness, receiver):
        harness.store_rows(*(last_row(f"slow{n}", "acme") for n in range(40)))
        harness.poll()
        harness.store_rows(*(last_row(f"s{n}") for n in range(40)))
        harness.poll_until(lambda: len(receiver.received) == 40)
        assert harness.sender.running > 0


def test_a_receiver_that_does_not_work_gets_one_event_at_a_time(database: str) -> None:
    with two_tenants(database, deadline_s=0.3) as (harness, _):
        harness.store_rows(*(last_row(f"slow{n}", "acme") for n in range(40)))
        harness.settle()
        assert harness.sender.most == MAX_IN_FLIGHT_PER_RECEIVER
        harness.sender.most = 0
        harness.pass_time(30, step_s=10)
        assert harness.sender.most == 1
        assert harness.sender.begun <= MAX_IN_FLIGHT_PER_RECEIVER + 4


def test_several_sessions_are_sent_at_once_up_to_a_bound(
    harness: DeliveryHarness, receiver: Receiver
) -> None:
    together = threading.Barrier(MAX_IN_FLIGHT_PER_RECEIVER)

    def reply(_: Received) -> Reply:
        together.wait(10)
        return Reply()

    receiver.reply = reply
    harness.store_rows(*(last_row(f"s{n}") for n in range(3 * MAX_IN_FLIGHT_PER_RECEIVER)))
    harness.settle()
    assert len(receiver.received) == 3 * MAX_IN_FLIGHT_PER_RECEIVER
    assert harness.sender.most == MAX_IN_FLIGHT_PER_RECEIVER


@pytest.mark.parametrize("outage", [Unavailable("refused"), ConfigError("no grant")])
def test_a_result_that_can_not_be_stored_is_held_and_not_sent_again(
    harness: DeliveryHarness, receiver: Receiver, outage: Exception
) -> None:
    harness.store_rows(*talk("a"))
    harness.queue.outage = outage
    harness.poll()
    harness.sender.wait_ended()
    for _ in range(20):
        harness.clock.advance(15)
        harness.poll()
    assert types(receiver, "a") == TALK[:1]
    harness.queue.outage = None
    harness.clock.advance(15)
    harness.settle()
    assert types(receiver, "a") == TALK


def test_a_report_that_can_not_be_read_delays_its_event_alone(
    harness: DeliveryHarness, receiver: Receiver
) -> None:
    harness.reports.errors["a"] = Unavailable("the database did not answer within 10 s")
    harness.store_rows(last_row("a"), last_row("b"))
    harness.settle()
    assert [each.session for each in receiver.received] == ["b"]
    [failed] = harness.asked.find_unaccepted("failed", None, 10)
    assert failed.error is not None
    assert failed.error.startswith("its report can't be read: the database")
    harness.reports.errors.clear()
    harness.pass_time(60)
    assert [each.session for each in receiver.received] == ["b", "a"]


def test_a_session_whose_rows_are_deleted_has_no_report_and_is_given_up(
    harness: DeliveryHarness, receiver: Receiver
) -> None:
    harness.reports.unknown.add("a")
    harness.store_rows(last_row("a"))
    harness.settle()
    assert (receiver.received, harness.states()) == ([], ["dead"])


def test_what_was_being_sent_at_a_stop_is_sent_again_by_the_next(
    database: str, receiver: Receiver
) -> None:
    never = threading.Event()
    receiver.reply = lambda _: Reply(wait=never)
    with DeliveryHarness(database, {"default": receiver.url}) as first:
        first.store_rows(last_row("a"))
        first.poll()
        first.poll_until(lambda: len(receiver.received) == 1)
        first.stop()
    never.set()
    with DeliveryHarness(database, {"default": receiver.url}) as second:
        second.settle()
        assert second.states() == []
    assert len({*receiver.ids()}) == 1
    assert len(receiver.ids()) == 2


def test_a_stop_waits_for_what_is_being_sent(database: str, receiver: Receiver) -> None:
    answer = threading.Event()
    receiver.reply = lambda _: Reply(wait=answer)
    with DeliveryHarness(database, {"default": receiver.url}) as harness:
        harness.store_rows(last_row("a"))
        harness.poll()
        harness.poll_until(lambda: len(receiver.received) == 1)
        answer.set()
        harness.stop(seconds=0)
        assert harness.states() == []


def test_a_tenant_without_a_webhook_any_more_is_sent_nothing(
    database: str, receiver: Receiver
) -> None:
    with DeliveryHarness(database, {"default": receiver.url, "acme": receiver.url}) as before:
        before.store_rows(last_row("a", "acme"))
    with DeliveryHarness(database, {"default": receiver.url}) as after:
        after.settle()
        assert (receiver.received, after.states()) == ([], ["pending"])


def test_no_log_line_has_a_secret_a_url_or_a_body(
    harness: DeliveryHarness, receiver: Receiver, log_lines: list[EventDict]
) -> None:
    replies = iter([307, 500, 204])
    receiver.reply = lambda _: Reply(next(replies, 410), {"location": "/token"}, b"secret body")
    harness.store_rows(*talk("a"))
    harness.settle()
    harness.pass_time(HOUR_S)
    assert {"webhook_failed", "webhook_delivered", "webhook_given_up"} <= {
        line["event"] for line in log_lines
    }
    text = repr(log_lines)
    for secret in (SECRET, SECRET.removeprefix("whsec_"), "/hook", "secret body", "token"):
        assert secret not in text


def test_the_numbers_of_events_are_reported_and_old_ones_expire(
    harness: DeliveryHarness, database: str, log_lines: list[EventDict]
) -> None:
    harness.store_rows(*(last_row(each, at_ms=NOW_MS - 60_000) for each in "ab"))
    harness.poll()
    [counted] = [line for line in log_lines if line["event"] == "webhooks_counted"]
    assert (counted["pending"], counted["failed"], counted["dead"]) == (2, 0, 0)
    assert counted["oldest_s"] == pytest.approx(60)
    harness.settle()
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE webhook_deliveries SET finished_at = now() - interval '8 days'")
    harness.pass_time(HOUR_S + 60)
    [expired] = [line for line in log_lines if line["event"] == "deliveries_expired"]
    assert (expired["deleted"], expired["given_up"]) == (2, 0)


def test_after_a_failure_the_next_actor_goes_on(
    harness: DeliveryHarness, receiver: Receiver
) -> None:
    answer = threading.Event()
    harness.store_rows(*talk("a"))
    receiver.reply = lambda _: Reply(wait=answer)
    harness.poll()
    harness.queue.outage = RuntimeError("a bug")
    answer.set()
    harness.fail()
    harness.queue.outage = None
    harness.settle()
    assert types(receiver, "a")[-2:] == TALK[1:]
    assert len({*receiver.ids()}) == 3
    assert harness.states() == []
