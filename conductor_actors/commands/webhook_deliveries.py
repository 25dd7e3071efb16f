"""The `webhooks` command: list, retry and test what is sent to webhooks.

Ids of sessions, errors and responses are untrusted text: control characters are escaped before
printing.
"""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from enum import StrEnum
from queue import Queue
from typing import Annotated, Any, Final
from uuid import UUID, uuid4

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from conductor_actors.adapters.postgres.delivery_queue import (
    ListedDelivery,
    PostgresDeliveryQueue,
)
from conductor_actors.app.startup import configure, open_servers
from conductor_actors.commands.terminal import print_stderr, printable
from conductor_actors.domain.identity import DEFAULT_TENANT, SessionKey
from conductor_actors.domain.webhook_retries import is_success
from conductor_actors.errors import ConfigError
from conductor_actors.instants import to_iso
from conductor_actors.ports.webhook_port import AttemptResult, WebhookDelivery
from conductor_actors.wire.webhook_messages import TEST_TYPE, webhook_body

TEST_WITHIN_S: Final = 30.0

_COLUMN_TITLES: Final = (
    *("id", "time", "session", "type", "state", "attempts", "next attempt", "last error"),
)


class ShownState(StrEnum):
    """The states by which deliveries are listed."""

    ALL = "all"
    PENDING = "pending"
    FAILED = "failed"
    DEAD = "dead"


TenantOption = Annotated[str | None, typer.Option(metavar="TENANT", help="Only of this tenant.")]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="List, retry and test what is sent to webhooks: CONDUCTOR_WEBHOOK_URL and "
    "CONDUCTOR_WEBHOOKS.",
)


@app.command("list", short_help="List events that webhooks have not accepted.")
def list_deliveries(
    state: Annotated[
        ShownState,
        typer.Option(
            help="pending: to be sent; failed: pending, after an attempt that failed; dead: not "
            "sent any more."
        ),
    ] = ShownState.ALL,
    tenant: TenantOption = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="Maximum number.")] = 50,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object for each line.")
    ] = False,
) -> None:
    """List events that webhooks have not accepted, the newest first.

    The session is TENANT/ID. An event that is pending waits for those of its session before it.
    """
    with _open_queue() as queue:
        found = queue.find_unaccepted(state, tenant, limit)
    if as_json:
        for each in found:
            _print(json.dumps(_document(each)).replace("\x7f", "\\u007f"))
    elif not found:
        print_stderr("no events")
    elif sys.stdout.isatty():
        Console().print(_table(found))
    else:
        for each in found:
            _print("\t".join(_cells(each)))


@app.command("retry", short_help="Send events again that were given up, or now.")
def retry_deliveries(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Ids of events, as listed.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Retry all events.")] = False,
    tenant: TenantOption = None,
) -> None:
    """Send events now: those that were given up anew, and others without waiting.

    The collector sends them. An event that was given up may come after later ones of its session.
    If an id is not listed, the exit code is 1.
    """
    if bool(ids) == everything or (tenant and not everything):
        raise ConfigError(
            "webhooks retry: name events by ID, or use --all, with or without --tenant"
        )
    chosen = None if everything else list(dict.fromkeys(map(_checked_id, ids or ())))
    with _open_queue() as queue:
        retried = queue.retry(chosen, tenant, _now_ms())
    missing = [each for each in chosen or () if each not in retried]
    for each in missing:
        print_stderr(f"{each}: no such event, or it was delivered")
    _print(f"{len(retried)} to be sent")
    if missing:
        raise typer.Exit(1)


@app.command("test", short_help="Send an event to a webhook, and show its response.")
def send_test(
    tenant: Annotated[
        str, typer.Option(metavar="TENANT", help="The tenant whose webhook is tested.")
    ] = DEFAULT_TENANT,
) -> None:
    """Send an event of the type webhook.test to a webhook, and show what comes back.

    It is signed as every event is. If it is not accepted, the exit code is 1.
    """
    result = _send_test(tenant)
    outcome = f"HTTP {result.status}" if result.status is not None else "no response"
    _print(f"{outcome} after {result.duration_s:g} s")
    if result.error and result.error != outcome:
        _print(printable(result.error))
    if result.response:
        _print(printable(result.response.decode("utf-8", "backslashreplace")))
    if not is_success(result.status):
        raise typer.Exit(1)


def _send_test(tenant: str) -> AttemptResult:
    # Most commands and collectors do without it.
    from conductor_actors.adapters.webhooks.http_sender import HttpWebhookSender  # noqa: PLC0415

    settings = configure(sys.stderr)
    receivers = settings.webhook_receivers()
    if not receivers.has_webhook(tenant):
        raise ConfigError(
            f"tenant {tenant!r} has no webhook: set CONDUCTOR_WEBHOOK_URL and "
            "CONDUCTOR_WEBHOOK_SECRET, or name it in CONDUCTOR_WEBHOOKS"
        )
    data = json.dumps({"tenantId": tenant}).encode()
    delivery = WebhookDelivery(
        str(uuid4()),
        SessionKey(tenant, ""),
        TEST_TYPE,
        _now_ms(),
        webhook_body(TEST_TYPE, _now_ms(), data),
    )
    results: Queue[AttemptResult] = Queue()
    with closing(
        HttpWebhookSender(receivers, allow_private=settings.webhook_allow_private)
    ) as sender:
        sender.send(delivery, results.put)
        return results.get(timeout=TEST_WITHIN_S)


@contextmanager
def _open_queue() -> Iterator[PostgresDeliveryQueue]:
    settings = configure(sys.stderr)
    with (
        open_servers(settings, redis=False) as urls,
        closing(PostgresDeliveryQueue(urls.database)) as queue,
    ):
        yield queue


def _checked_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        example = "0b0a4a4e-7d3f-5c0e-8f27-1f3b8a0c9d11"
        raise ConfigError(f"{text!r} is not the id of an event, e.g. {example}") from None


def _state(listed: ListedDelivery) -> str:
    has_failed = listed.state == "pending" and listed.delivery.attempts > 0
    return "failed" if has_failed else listed.state


def _cells(listed: ListedDelivery) -> Sequence[str]:
    delivery = listed.delivery
    texts = (
        delivery.id,
        to_iso(delivery.occurred_ms, "seconds"),
        str(delivery.key),
        delivery.type,
        _state(listed),
        str(delivery.attempts),
        to_iso(listed.next_ms, "seconds") if listed.state == "pending" else "",
        listed.error or "",
    )
    return [*map(printable, texts)]


def _table(found: Iterable[ListedDelivery]) -> Table:
    table = Table(box=None, header_style="")
    table.add_column(_COLUMN_TITLES[0], no_wrap=True)
    for name in _COLUMN_TITLES[1:]:
        table.add_column(name, overflow="fold")
    for each in found:
        table.add_row(*map(Text, _cells(each)))
    return table


def _document(listed: ListedDelivery) -> dict[str, Any]:
    delivery = listed.delivery
    return {
        "id": delivery.id,
        "time": to_iso(delivery.occurred_ms, "milliseconds"),
        "tenant": delivery.key.tenant_id,
        "session": delivery.key.session_id,
        "type": delivery.type,
        "state": _state(listed),
        "attempts": delivery.attempts,
        "next_attempt": (
            to_iso(listed.next_ms, "milliseconds") if listed.state == "pending" else None
        ),
        "last_status": listed.status,
        "last_error": listed.error,
    }


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
