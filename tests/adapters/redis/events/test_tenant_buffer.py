"""The order of buffered messages, and which are dropped from a full buffer."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from conductor_actors.adapters.redis.events.tenant_buffer import PubSubMessage, TenantBuffer
from tests.support.event_samples import CHAT

ALWAYS = float("inf")
KILOBYTE = b"x" * 1024

TenantMessage = tuple[str, PubSubMessage]


def pop(buffer: TenantBuffer, before_s: float = ALWAYS) -> list[tuple[float, str, bytes]]:
    """Remove messages; return each with the time of its receipt, those of a tenant in order."""
    return [
        (received.received_s, *message)
        for received in buffer.pop_before(before_s)
        for message in received.messages
    ]


def message(tenant: str, body: bytes = b"") -> TenantMessage:
    return tenant, (f"{tenant}:{CHAT}", body)


def filled(limit: int, **messages: int) -> TenantBuffer:
    """Return a buffer to which so many messages of each tenant were added, one a second."""
    buffer = TenantBuffer(limit)
    for tenant, count in messages.items():
        for second in range(count):
            buffer.add(second, [message(tenant, tenant.encode())])
    return buffer


def test_messages_of_a_tenant_are_returned_in_the_order_of_receipt() -> None:
    buffer = TenantBuffer(10)
    for second in range(3):
        buffer.add(second, [message("acme", b"1"), message("globex", b"2"), message("acme", b"3")])
    early, late = pop(buffer, 2), pop(buffer)
    assert [received_s for received_s, *_ in early] == [0] * 3 + [1] * 3
    for tenant, bodies in (("acme", [b"1", b"3"]), ("globex", [b"2"])):
        of_tenant = [body for _, channel, body in early + late if channel.startswith(tenant)]
        assert of_tenant == bodies * 3
    assert pop(buffer) == []


def test_a_full_buffer_drops_the_newest_messages_of_the_tenant_that_floods() -> None:
    buffer = filled(10, flood=10, quiet=3)
    assert buffer.pop_dropped() == {"flood": 3}
    popped = pop(buffer)
    assert [received_s for received_s, _, body in popped if body == b"flood"] == [*range(7)]
    assert [received_s for received_s, _, body in popped if body == b"quiet"] == [*range(3)]


def test_a_full_buffer_drops_further_messages_of_the_tenant_that_floods() -> None:
    buffer = filled(10, quiet=3, flood=100)
    assert buffer.pop_dropped() == {"flood": 93}
    assert buffer.pop_dropped() == {}
    flood = [received_s for received_s, _, body in pop(buffer) if body == b"flood"]
    assert flood == [*range(7)]


def test_removing_messages_makes_room() -> None:
    buffer = filled(10, flood=10)
    assert len(pop(buffer)) == 10
    assert not buffer._queues
    assert not buffer._units
    buffer.add(11, [message("flood")])
    assert not buffer.pop_dropped()


def test_a_large_message_counts_by_its_kilobytes() -> None:
    buffer = TenantBuffer(10)
    buffer.add(0, [message("acme", KILOBYTE * 3)] * 4)
    assert buffer.pop_dropped() == {"acme": 2}


def test_a_message_larger_than_the_buffer_is_dropped() -> None:
    buffer = filled(10, acme=2)
    buffer.add(3, [message("globex", KILOBYTE * 100)])
    assert buffer.pop_dropped() == {"globex": 1}
    assert len(pop(buffer)) == 2


messages = st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 5)).map(
    lambda it: message(it[0], KILOBYTE * it[1])
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.one_of(st.lists(messages, max_size=8), st.integers(0, 30)), max_size=30),
    st.integers(1, 12),
)
def test_every_message_is_returned_or_counted_as_dropped_and_the_limit_holds(
    steps: list[list[TenantMessage] | int], limit: int
) -> None:
    buffer = TenantBuffer(limit)
    added, popped, lost = Counter[str](), Counter[str](), Counter[str]()
    for second, step in enumerate(steps):
        if isinstance(step, int):
            popped.update(channel[0] for _, channel, _ in pop(buffer, step))
        else:
            added.update(tenant for tenant, _ in step)
            buffer.add(second, step)
            lost += buffer.pop_dropped()
        received = [each for queue in buffer._queues.values() for each in queue]
        bodies = [body for each in received for _, body in each.messages]
        assert sum(1 + len(body) // 1024 for body in bodies) == buffer._total <= limit
        assert sum(each.units for each in received) == buffer._total
    popped.update(channel[0] for _, channel, _ in pop(buffer))
    assert popped + lost == added


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(messages, max_size=9), max_size=9), st.integers(1, 12))
def test_messages_added_together_are_returned_and_dropped_as_if_added_one_by_one(
    reads: list[list[TenantMessage]], limit: int
) -> None:
    together, one_by_one = TenantBuffer(limit), TenantBuffer(limit)
    for read in reads:
        together.add(0, read)
        for each in read:
            one_by_one.add(0, [each])
    assert together.pop_dropped() == one_by_one.pop_dropped()
    assert pop(together) == pop(one_by_one)
