"""The adapters of webhooks, for the collector that sends to them."""

from collections.abc import Callable
from contextlib import ExitStack

from conductor_actors.actors.delivery import DeliveryPorts
from conductor_actors.adapters.postgres.deliveries_table import no_webhook
from conductor_actors.adapters.postgres.delivery_queue import PostgresDeliveryQueue
from conductor_actors.adapters.postgres.history.report_reader import PostgresSessionReports
from conductor_actors.domain.partitions.partition import Partition
from conductor_actors.settings import Settings


def has_webhook(settings: Settings) -> Callable[[str], bool]:
    """Return the function by which rows are checked for tenants that have a webhook."""
    receivers = settings.webhook_receivers()
    return no_webhook if receivers.is_empty() else receivers.has_webhook


def serves_all(settings: Settings, partition: Partition | None) -> bool:
    """Return whether a collector does what is done once for all sessions of its database."""
    databases = max(1, len(settings.partition_database_urls))
    return partition is None or partition.number < databases


def open_deliveries(
    settings: Settings,
    database_url: str,
    to_close: ExitStack,
    partition: Partition | None = None,
) -> DeliveryPorts | None:
    """Return the adapters; None if no tenant has a webhook, or if another partition sends to them.

    The first of a database sends for all, so that no event is sent by two.
    """
    receivers = settings.webhook_receivers()
    if receivers.is_empty() or not serves_all(settings, partition):
        return None
    # A collector without webhooks starts sooner without it, and in less memory.
    from conductor_actors.adapters.webhooks.http_sender import HttpWebhookSender  # noqa: PLC0415

    ports = DeliveryPorts(
        PostgresDeliveryQueue(database_url),
        HttpWebhookSender(receivers, allow_private=settings.webhook_allow_private),
        PostgresSessionReports(database_url, settings.report_rules()),
    )
    for port in ports:
        to_close.callback(port.close)
    return ports
