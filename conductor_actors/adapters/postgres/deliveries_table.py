"""The table of webhook deliveries: the statement that enqueues the events of a batch of rows.

It is executed in the transaction that stores the rows, so that none is lost. It may be executed
again: an event is enqueued once, by its id. A delivery that is done is deleted after some days, so
an event that is older than these is not enqueued.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

from psycopg import sql

from conductor_actors.adapters.postgres.connection import DatabaseConnection, Statement
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.instants import to_datetime
from conductor_actors.ports import CheckResult
from conductor_actors.wire.webhook_messages import WebhookEvent, webhook_events_of

HasWebhook: TypeAlias = Callable[[str], bool]  # whether a tenant has one

DAYS_KEPT: Final = 7  # after a delivery is done

_DELIVERY_COLUMNS: Final = {
    "id": "text",
    "tenant_id": "text",
    "session_id": "text",
    "type": "text",
    "occurred_at": "timestamptz",
    "position": "int4",
    "body": "text",
}

# The oldest are sent first.
_ENQUEUE: Final = sql.SQL(
    "INSERT INTO webhook_deliveries ({columns}, next_attempt_at)"
    " SELECT id::uuid, {others}, occurred_at FROM unnest({arrays}) AS new ({columns})"
    " WHERE occurred_at > now() - make_interval(days => {days}) ON CONFLICT (id) DO NOTHING"
).format(
    columns=sql.SQL(", ").join(map(sql.Identifier, _DELIVERY_COLUMNS)),
    others=sql.SQL(", ").join(map(sql.Identifier, [*_DELIVERY_COLUMNS][1:])),
    arrays=sql.SQL(", ").join(
        sql.SQL("%b::{}[]").format(sql.SQL(kind)) for kind in _DELIVERY_COLUMNS.values()
    ),
    days=sql.Literal(DAYS_KEPT),
)

_IS_ALLOWED: Final = """
    SELECT bool_and(has_table_privilege(to_regclass('webhook_deliveries'), privilege))
    FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
"""


def no_webhook(tenant_id: str) -> bool:
    """Return False: no tenant has a webhook."""
    del tenant_id
    return False


def delivery_statements(rows: Iterable[ScoreRow], has_webhook: HasWebhook) -> list[Statement]:
    """Return the statement that enqueues the events of the rows; none if there are none."""
    if has_webhook is no_webhook:
        return []
    changed = [row for row in rows if (row.is_last or row.anomalies) and has_webhook(row.tenant_id)]
    events = [event for row in changed for event in webhook_events_of(row)]
    return [enqueue_statement(events)] if events else []


def enqueue_statement(events: Iterable[WebhookEvent]) -> Statement:
    """Return the statement that enqueues these events."""
    values = [*map(_enqueued_values, events)]
    columns = zip(*values, strict=True) if values else ((),) * len(_DELIVERY_COLUMNS)
    return _ENQUEUE, [*map(list, columns)]


def _enqueued_values(event: WebhookEvent) -> tuple[object, ...]:
    body = None if event.body is None else event.body.decode()
    return (event.id, *event.key, event.type, to_datetime(event.occurred_ms), event.position, body)


def check_webhooks(connection: DatabaseConnection) -> Iterator[CheckResult]:
    """Check whether events can be enqueued and delivered."""
    match connection.execute(_IS_ALLOWED).fetchone():
        case (True,):
            yield CheckResult(ok=True, line="webhooks: allowed")
        case (False,):
            lacks = "SELECT, INSERT, UPDATE and DELETE on webhook_deliveries"
            yield CheckResult(ok=False, line=f"webhooks: the user lacks {lacks}")
        case _:
            yield CheckResult(ok=False, line="webhooks: there is no table webhook_deliveries")
