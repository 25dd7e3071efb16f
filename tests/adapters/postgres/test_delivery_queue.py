"""The queue of deliveries: what is due, in which order, and what becomes of it."""

from collections.abc import Iterator
from contextlib import closing
from time import time

import psycopg
import pytest

from conductor_actors.adapters.postgres.deliveries_table import DAYS_KEPT
from conductor_actors.adapters.postgres.delivery_queue import (
    DEAD_DAYS_KEPT,
    NEVER_ACCEPTED,
    PostgresDeliveryQueue,
)
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.ports.webhook_port import DeliveryOutcome, DeliveryState, WebhookDelivery
from tests.support.score_rows import began, ended, row

NOW_MS = round(time()) * 1000
DAY_MS = 86_400_000
ALL = {"default": 100, "acme": 100}


@pytest.fixture
def queue(database: str) -> Iterator[PostgresDeliveryQueue]:
    with closing(PostgresDeliveryQueue(database)) as queue:
        yield queue


@pytest.fixture
def hooked(database: str) -> Iterator[PostgresRowStore]:
    with closing(PostgresRowStore(database, has_webhook=ALL.__contains__)) as store:
        yield store


def last_row(session_id: str, tenant: str = "default", at_ms: int = NOW_MS) -> ScoreRow:
    return row(session_id, at_ms, tenant_id=tenant, is_last=True)


def outcome(
    delivery: WebhookDelivery,
    state: DeliveryState = "delivered",
    status: int | None = 200,
    error: str = "",
    next_ms: int = NOW_MS,
) -> DeliveryOutcome:
    return DeliveryOutcome(delivery, state, NOW_MS, next_ms, status, error)


def due(
    queue: PostgresDeliveryQueue, now_ms: int = NOW_MS, slots: dict[str, int] | None = None
) -> list[tuple[str, str]]:
    return [(each.key.session_id, each.type) for each in queue.due(now_ms, slots or ALL, [])]


def test_the_deliveries_of_a_session_are_due_one_after_the_other(
    hooked: PostgresRowStore, queue: PostgresDeliveryQueue
) -> None:
    hooked.write(
        [
            row("a", NOW_MS, anomalies=(ended(began_ms=NOW_MS - 5000),), is_last=True),
            row("a", NOW_MS - 5000, anomalies=(began(),)),
        ]
    )
    for kind in ("anomaly.began", "anomaly.ended", "session.ended"):
        assert due(queue) == [("a", kind)]
        [delivery] = queue.due(NOW_MS, ALL, [])
        queue.record([outcome(delivery)])
    assert due(queue) == []
    assert queue.due_tenants(NOW_MS) == []


def test_a_delivery_that_failed_holds_up_its_session_alone_until_its_next_attempt(
    hooked: PostgresRowStore, queue: PostgresDeliveryQueue
) -> None:
    hooked.write([row("a", NOW_MS - 5000, anomalies=(began(),)), last_row("a"), last_row("b")])
    first, _ = queue.due(NOW_MS, ALL, [])
    queue.record([outcome(first, "pending", None, "refused", NOW_MS + 60_000)])
    assert due(queue) == [("b", "session.ended")]
    _, again = queue.due(NOW_MS + 60_000, ALL, [])
    assert (again.id, again.attempts, again.first_attempt_ms) == (first.id, 1, NOW_MS)


def test_after_a_dead_delivery_the_next_of_its_session_is_due_at_once(
    hooked: PostgresRowStore, queue: PostgresDeliveryQueue
) -> None:
    hooked.write([row("a", NOW_MS - 5000, anomalies=(began(),)), last_row("a")])
    [first] = queue.due(NOW_MS, ALL, [])
    queue.record([outcome(first, "pending", 500, "HTTP 500", NOW_MS + 60_000)])
    queue.record([outcome(first, "dead", 410, "HTTP 410")])
    assert due(queue) == [("a", "session.ended")]


def test_each_tenant_gets_as_many_as_it_has_slots(
    hooked: PostgresRowStore, queue: PostgresDeliveryQueue
) -> None:
    hooked.write([last_row(f"{number}", tenant) for tenant in ALL for number in range(5)])
    assert sorted(queue.due_tenants(NOW_MS)) == ["acme", "default"]
    found = queue.due(NOW_MS, {"acme": 2, "default": 1}, [])
    assert sorted(each.key.tenant_id for each in found) == ["acme", "acme", "default"]


def test_what_is_being_sent_is_not_due(
    hooked: PostgresRowStore, queue: PostgresDeliveryQueue
) -> None:
    hooked.write([row("a", NOW_MS - 5000, anomalies=(began(),)), last_row("a"), last_row("b")])
    in_flight = [each.id for each in queue.due(NOW_MS, ALL, [])]
    assert len(in_flight) == 2
    assert queue.due(NOW_MS, ALL, in_flight) == []


def test_a_body_is_stored_once_so_that_each_attempt_has_the_same_bytes(
    hooked: PostgresRowStore, queue: PostgresDeliveryQueue
) -> None:
    hooked.write([last_row("a")])
    [delivery] = queue.due(NOW_MS, ALL, [])
    assert delivery.body is None
    body = '{"title":"Größe 🎤"}'.encode()
    assert queue.store_bodies({delivery.id: body}) == {delivery.id: body}
    assert queue.store_bodies({delivery.id: b"{}"}) == {delivery.id: body}
    assert queue.due(NOW_MS, ALL, [])[0].body == body


def test_a_late_outcome_of_an_earlier_owner_changes_nothing(
    hooked: PostgresRowStore, queue: PostgresDeliveryQueue
) -> None:
    hooked.write([last_row("a")])
    [delivery] = queue.due(NOW_MS, ALL, [])
    queue.record([outcome(delivery)])
    queue.record([outcome(delivery, "pending", None, "too late", NOW_MS)])
    assert due(queue) == []


def test_deliveries_are_counted(hooked: PostgresRowStore, queue: PostgresDeliveryQueue) -> None:
    assert queue.count() == (0, 0, 0, None)
    hooked.write([last_row(each, at_ms=NOW_MS - 5000) for each in "abc"])
    first, second, _ = queue.due(NOW_MS, ALL, [])
    queue.record([outcome(first, "dead", 410, "HTTP 410"), outcome(second, "pending", 500, "x")])
    assert queue.count() == (2, 1, 1, NOW_MS - 5000)


def test_deliveries_that_are_done_are_deleted_after_days(
    hooked: PostgresRowStore, queue: PostgresDeliveryQueue
) -> None:
    hooked.write([last_row("delivered"), last_row("dead")])
    one, other = sorted(queue.due(NOW_MS, ALL, []), key=lambda each: each.key)
    queue.record([outcome(other), outcome(one, "dead", 410, "HTTP 410")])
    assert queue.expire(NOW_MS + DAYS_KEPT * DAY_MS) == (0, 0)
    assert queue.expire(NOW_MS + DAYS_KEPT * DAY_MS + 1) == (1, 0)
    assert queue.expire(NOW_MS + DEAD_DAYS_KEPT * DAY_MS + 1) == (1, 0)


def test_what_was_never_accepted_becomes_dead_after_days(
    hooked: PostgresRowStore, queue: PostgresDeliveryQueue
) -> None:
    hooked.write([last_row("a")])
    assert queue.expire(NOW_MS + (DAYS_KEPT - 1) * DAY_MS) == (0, 0)
    assert queue.expire(NOW_MS + (DAYS_KEPT + 1) * DAY_MS) == (0, 1)
    [listed] = queue.find_unaccepted("dead", None, 10)
    assert listed.error == NEVER_ACCEPTED


def test_operators_list_deliveries_by_state_and_tenant(
    hooked: PostgresRowStore, queue: PostgresDeliveryQueue
) -> None:
    hooked.write(
        [last_row("a"), last_row("b"), last_row("c"), last_row("d"), last_row("x", "acme")]
    )
    a, b, c, *_ = sorted(queue.due(NOW_MS, {"default": 9}, []), key=lambda each: each.key)
    queue.record([outcome(a), outcome(b, "dead", 410, "HTTP 410")])
    queue.record([outcome(c, "pending", 503, "HTTP 503")])

    def sessions(state: str, tenant: str | None = None) -> list[str]:
        return sorted(
            each.delivery.key.session_id for each in queue.find_unaccepted(state, tenant, 10)
        )

    assert sessions("all") == ["b", "c", "d", "x"]
    assert sessions("pending", "default") == ["c", "d"]
    assert sessions("failed") == ["c"]
    assert sessions("dead") == ["b"]
    assert len(queue.find_unaccepted("all", None, 2)) == 2
    [failed] = queue.find_unaccepted("failed", None, 1)
    assert (failed.status, failed.error) == (503, "HTTP 503")


def test_a_dead_delivery_that_is_retried_has_all_its_attempts_again(
    hooked: PostgresRowStore, queue: PostgresDeliveryQueue
) -> None:
    hooked.write([last_row("a"), last_row("b"), last_row("c", "acme")])
    deliveries = queue.due(NOW_MS, ALL, [])
    queue.record([outcome(each, "dead", 410, "HTTP 410") for each in deliveries])
    [of_acme] = [each.id for each in deliveries if each.key.tenant_id == "acme"]
    assert queue.retry([of_acme], None, NOW_MS) == [of_acme]
    [again] = queue.due(NOW_MS, ALL, [])
    assert (again.id, again.attempts, again.first_attempt_ms) == (of_acme, 0, None)
    assert len(queue.retry(None, "default", NOW_MS)) == 2
    assert len(queue.retry(None, None, NOW_MS)) == 3


def test_what_was_delivered_is_not_sent_again(
    hooked: PostgresRowStore, queue: PostgresDeliveryQueue
) -> None:
    hooked.write([last_row("a")])
    [delivery] = queue.due(NOW_MS, ALL, [])
    queue.record([outcome(delivery)])
    assert queue.retry([delivery.id], None, NOW_MS) == []
    assert queue.retry(None, None, NOW_MS) == []


def test_many_deliveries_that_wait_are_not_searched_for_those_that_are_due(
    database: str, queue: PostgresDeliveryQueue
) -> None:
    """A day without the receiver: 100,000 wait, and each poll takes milliseconds."""
    with psycopg.connect(database) as connection:
        connection.execute("""
            INSERT INTO webhook_deliveries
                (id, tenant_id, session_id, type, occurred_at, position, next_attempt_at)
            SELECT gen_random_uuid(), 'default', 'session-' || number % 5000, 'session.ended',
                   now() - number * interval '1 s', 1, now() + interval '1 hour'
            FROM generate_series(1, 100000) AS number
        """)
        connection.execute("ANALYZE webhook_deliveries")
    assert queue.due_tenants(NOW_MS) == []
    began_s = time()
    for _ in range(10):
        assert queue.due(NOW_MS, ALL, []) == []
        assert queue.due_tenants(NOW_MS) == []
    assert (time() - began_s) / 10 < 0.05
    assert len(queue.due(NOW_MS + 2 * 3_600_000, {"default": 8}, [])) == 8
