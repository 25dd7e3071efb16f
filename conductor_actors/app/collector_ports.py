"""The ports of a collector."""

from typing import NamedTuple

from conductor_actors.actors.delivery import DeliveryPorts
from conductor_actors.actors.title_writer import TitleSinks
from conductor_actors.ports import (
    CheckpointStore,
    DeadLetterQueue,
    EventSource,
    IntrospectionChannel,
    Lease,
    Outbox,
    Retention,
    RowStore,
    UpdatePublisher,
)
from conductor_actors.ports.catalog_port import SessionCatalog
from conductor_actors.ports.conductor_port import ActionSender, PolicyStore


class Ports(NamedTuple):
    """The adapters of a collector, real or fake."""

    source: EventSource
    store: RowStore
    publisher: UpdatePublisher
    dead_letters: DeadLetterQueue
    retention: Retention
    lease: Lease
    outbox: Outbox
    checkpoints: CheckpointStore
    introspection: IntrospectionChannel
    actions: ActionSender
    policies: PolicyStore
    catalog: SessionCatalog
    titles: TitleSinks
    deliveries: DeliveryPorts | None = None  # unless this collector sends to webhooks
