"""The queue of webhook deliveries in the database."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from psycopg import sql

from conductor_actors.adapters.postgres.connection import (
    DATABASE_DEADLINE_S,
)
from conductor_actors.adapters.postgres.deliveries_table import DAYS_KEPT
from conductor_actors.adapters.postgres.kept_connection import KeptConnection
from conductor_actors.domain.identity import SessionKey
from conductor_actors.instants import to_datetime, to_ms
from conductor_actors.ports.webhook_port import (
    DeliveryCounts,
    DeliveryOutcome,
    DeliveryState,
    ExpiredDeliveries,
    WebhookDelivery,
)

DEAD_DAYS_KEPT: Final = 30
MAX_EXPIRED: Final = 10_000  # in one transaction
DAY_S: Final = 86_400

NEVER_ACCEPTED: Final = f"not accepted within {DAYS_KEPT} days"

_COLUMNS_OF_DELIVERY: Final = sql.SQL(
    "id::text, tenant_id, session_id, type, occurred_at, body, attempts, first_attempt_at"
)

# One probe of the index for each tenant, however many deliveries are pending.
_SELECT_DUE_TENANTS: Final = sql.SQL("""
    WITH RECURSIVE first AS (
        (SELECT tenant_id, next_attempt_at FROM webhook_deliveries WHERE state = 'pending'
         ORDER BY tenant_id, next_attempt_at LIMIT 1)
        UNION ALL
        SELECT next.* FROM first CROSS JOIN LATERAL (
            SELECT tenant_id, next_attempt_at FROM webhook_deliveries
            WHERE state = 'pending' AND tenant_id > first.tenant_id
            ORDER BY tenant_id, next_attempt_at LIMIT 1) AS next
    )
    SELECT tenant_id FROM first WHERE next_attempt_at <= %(now)s
""").format()

_SELECT_DUE: Final = sql.SQL("""
    SELECT {columns}
    FROM unnest(%(tenants)s::text[], %(slots)s::int8[]) AS free (tenant, slots)
    CROSS JOIN LATERAL (
        SELECT * FROM webhook_deliveries AS due
        WHERE due.state = 'pending' AND due.tenant_id = free.tenant
          AND due.next_attempt_at <= %(now)s AND due.id <> ALL(%(in_flight)s::uuid[])
          AND NOT EXISTS (
              SELECT FROM webhook_deliveries AS earlier
              WHERE earlier.state = 'pending' AND earlier.tenant_id = due.tenant_id
                AND earlier.session_id = due.session_id
                AND (earlier.occurred_at, earlier.position) < (due.occurred_at, due.position))
        ORDER BY due.next_attempt_at LIMIT free.slots) AS first
    ORDER BY next_attempt_at
""").format(columns=_COLUMNS_OF_DELIVERY)

_STORE_BODIES: Final = sql.SQL("""
    UPDATE webhook_deliveries SET body = coalesce(webhook_deliveries.body, new.body)
    FROM unnest(%b::text[], %b::text[]) AS new (id, body)
    WHERE webhook_deliveries.id = new.id::uuid
    RETURNING webhook_deliveries.id::text, webhook_deliveries.body
""").format()

_OUTCOME_ARRAYS: Final = sql.SQL(
    "unnest(%b::text[], %b::text[], %b::text[], %b::text[], %b::int8[], %b::text[],"
    " %b::timestamptz[], %b::timestamptz[])"
    " AS new (id, tenant_id, session_id, state, status, error, at, next)"
)
_RECORD: Final = sql.SQL("""
    UPDATE webhook_deliveries AS known
    SET state = new.state, attempts = attempts + 1, last_status = nullif(new.status, 0),
        last_error = nullif(new.error, ''), next_attempt_at = new.next,
        first_attempt_at = coalesce(first_attempt_at, new.at),
        finished_at = CASE WHEN new.state <> 'pending' THEN new.at END
    FROM {} WHERE known.id = new.id::uuid AND known.state = 'pending'
""").format(_OUTCOME_ARRAYS)

# Those that wait for one that failed are not searched before it is due. When it is done, they are
# due at once.
_MOVE_OTHERS: Final = sql.SQL("""
    UPDATE webhook_deliveries AS other
    SET next_attempt_at = CASE new.state WHEN 'pending' THEN new.next ELSE new.at END
    FROM {} WHERE other.state = 'pending' AND other.id <> new.id::uuid
      AND other.tenant_id = new.tenant_id AND other.session_id = new.session_id
      AND CASE new.state WHEN 'pending' THEN other.next_attempt_at < new.next
          ELSE other.attempts = 0 AND other.next_attempt_at > new.at END
""").format(_OUTCOME_ARRAYS)

_COUNT: Final = sql.SQL("""
    SELECT (SELECT count(*) FROM webhook_deliveries WHERE state = 'pending'),
           (SELECT count(*) FROM webhook_deliveries WHERE state = 'pending' AND attempts > 0),
           (SELECT count(*) FROM webhook_deliveries WHERE state = 'dead'),
           (SELECT min(occurred_at) FROM webhook_deliveries WHERE state = 'pending')
""").format()

_DELETE_DONE: Final = sql.SQL("""
    DELETE FROM webhook_deliveries WHERE id IN (
        SELECT id FROM webhook_deliveries
        WHERE state = %(state)s AND finished_at < %(until)s LIMIT %(limit)s)
""").format()
_ABANDON: Final = sql.SQL("""
    UPDATE webhook_deliveries SET state = 'dead', finished_at = %(now)s,
        last_error = coalesce(last_error || '; ', '') || %(error)s
    WHERE id IN (
        SELECT id FROM webhook_deliveries
        WHERE state = 'pending' AND enqueued_at < %(until)s LIMIT %(limit)s)
""").format()

# Of one tenant or of all, in one state or in any.
_LIST: Final = sql.SQL("""
    SELECT {columns}, state, next_attempt_at, last_status, last_error FROM webhook_deliveries
    WHERE (%(tenant)s::text IS NULL OR tenant_id = %(tenant)s)
      AND CASE %(state)s WHEN 'failed' THEN state = 'pending' AND attempts > 0
          WHEN 'all' THEN state <> 'delivered' ELSE state = %(state)s END
    ORDER BY occurred_at DESC, position DESC, id LIMIT %(limit)s
""").format(columns=_COLUMNS_OF_DELIVERY)

# A delivery that is pending is tried at once, and keeps its attempts.
_RETRY: Final = sql.SQL("""
    UPDATE webhook_deliveries
    SET attempts = CASE state WHEN 'dead' THEN 0 ELSE attempts END,
        first_attempt_at = CASE state WHEN 'dead' THEN NULL ELSE first_attempt_at END,
        enqueued_at = CASE state WHEN 'dead' THEN %(now)s ELSE enqueued_at END,
        state = 'pending', next_attempt_at = %(now)s, finished_at = NULL
    WHERE state <> 'delivered' AND (%(tenant)s::text IS NULL OR tenant_id = %(tenant)s)
      AND (%(ids)s::uuid[] IS NULL OR id = ANY(%(ids)s::uuid[]))
    RETURNING id::text
""").format()


class ListedDelivery(NamedTuple):
    """A delivery as operators see it."""

    delivery: WebhookDelivery
    state: DeliveryState
    next_ms: int
    status: int | None
    error: str | None


class PostgresDeliveryQueue:
    """A `DeliveryQueue`, with what operators do. It connects at the first call.

    It connects again after a failure. Only one thread may use it.
    """

    def __init__(self, url: str, deadline_s: float = DATABASE_DEADLINE_S) -> None:
        self._connection = KeptConnection(url, deadline_s)

    def due_tenants(self, now_ms: int) -> list[str]:
        """Return the tenants that have a delivery whose next attempt is due."""
        with self._connection.transaction() as connection:
            found = connection.execute(_SELECT_DUE_TENANTS, {"now": to_datetime(now_ms)})
            return [tenant for (tenant,) in found]

    def due(
        self, now_ms: int, slots: Mapping[str, int], in_flight: Collection[str]
    ) -> list[WebhookDelivery]:
        """Return due deliveries, of each tenant at most so many, the longest due first."""
        values = {
            "now": to_datetime(now_ms),
            "tenants": [*slots],
            "slots": [*slots.values()],
            "in_flight": [*in_flight],
        }
        with self._connection.transaction() as connection:
            return [*map(_delivery, connection.execute(_SELECT_DUE, values))]

    def store_bodies(self, bodies: Mapping[str, bytes]) -> dict[str, bytes]:
        """Store the bodies of deliveries, by id; return what is stored, which are the first."""
        texts = [body.decode() for body in bodies.values()]
        [stored] = self._connection.execute([(_STORE_BODIES, ([*bodies], texts))])
        return {found: body.encode() for found, body in stored.fetchall()}

    def record(self, outcomes: Sequence[DeliveryOutcome]) -> None:
        """Store what attempts led to, all or none."""
        columns = [*map(list, zip(*map(_outcome_values, outcomes), strict=True))]
        self._connection.execute([(_RECORD, columns), (_MOVE_OTHERS, columns)])

    def count(self) -> DeliveryCounts:
        """Return the numbers of deliveries."""
        with self._connection.transaction() as connection:
            [(pending, failed, dead, oldest)] = connection.execute(_COUNT).fetchall()
        return DeliveryCounts(pending, failed, dead, None if oldest is None else to_ms(oldest))

    def expire(self, now_ms: int) -> ExpiredDeliveries:
        """Delete those that were done long ago, and abandon those that wait for too long."""
        deleted = 0
        for state, days in (("delivered", DAYS_KEPT), ("dead", DEAD_DAYS_KEPT)):
            values = {"state": state, "until": _days_before(now_ms, days)}
            deleted += self._change_all(_DELETE_DONE, values)
        values = {"now": to_datetime(now_ms), "error": NEVER_ACCEPTED}
        values |= {"until": _days_before(now_ms, DAYS_KEPT)}
        return ExpiredDeliveries(deleted, self._change_all(_ABANDON, values))

    def find_unaccepted(self, state: str, tenant: str | None, limit: int) -> list[ListedDelivery]:
        """Return deliveries, the newest first, in this state: pending, failed, dead, or all."""
        values = {"state": state, "tenant": tenant, "limit": limit}
        with self._connection.transaction() as connection:
            return [*map(_listed, connection.execute(_LIST, values))]

    def retry(self, ids: Sequence[str] | None, tenant: str | None, now_ms: int) -> Sequence[str]:
        """Make deliveries due now, all for None; return their ids."""
        values = {
            "ids": None if ids is None else [*ids],
            "tenant": tenant,
            "now": to_datetime(now_ms),
        }
        with self._connection.transaction() as connection:
            return [found for (found,) in connection.execute(_RETRY, values)]

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        self._connection.close()

    def _change_all(self, statement: sql.Composed, values: dict[str, Any]) -> int:
        """Execute a statement until it changes no more rows; return how many it changed."""
        changed = 0
        while True:
            with self._connection.transaction() as connection:
                rows = connection.execute(statement, values | {"limit": MAX_EXPIRED}).rowcount
            changed += rows
            if rows < MAX_EXPIRED:
                return changed


def _outcome_values(outcome: DeliveryOutcome) -> tuple[object, ...]:
    delivery, state, at_ms, next_ms, status, error = outcome
    times = to_datetime(at_ms), to_datetime(next_ms)
    return (delivery.id, *delivery.key, state, status or 0, error.replace("\0", ""), *times)


def _days_before(now_ms: int, days: int) -> object:
    return to_datetime(now_ms - days * DAY_S * 1000)


def _delivery(record: tuple[Any, ...]) -> WebhookDelivery:
    id_, tenant_id, session_id, kind, occurred_at, body, attempts, first_attempt_at = record
    return WebhookDelivery(
        id_,
        SessionKey(tenant_id, session_id),
        kind,
        to_ms(occurred_at),
        None if body is None else body.encode(),
        attempts,
        None if first_attempt_at is None else to_ms(first_attempt_at),
    )


def _listed(record: tuple[Any, ...]) -> ListedDelivery:
    *delivery, state, next_at, status, error = record
    return ListedDelivery(_delivery(tuple(delivery)), state, to_ms(next_at), status, error)
