"""The trace of the followed session is renewed, and no other session is traced."""

from contextlib import closing

from conductor_actors.adapters.redis.introspection_channel import RedisIntrospectionChannel
from conductor_actors.commands.inspect.session_introspection import (
    TRACE_RENEWAL_S,
    TRACE_S,
    TraceRenewal,
)
from conductor_actors.domain.identity import SessionKey
from tests.support.fakes.fake_clock import FakeClock

KEY = SessionKey("acme", "keynote")


def test_a_trace_is_requested_at_once_and_renewed_before_it_ends(
    valkey_url: str, redis_client: object
) -> None:
    del redis_client  # for its empty database
    clock = FakeClock()
    with (
        closing(RedisIntrospectionChannel(valkey_url)) as channel,
        closing(TraceRenewal(valkey_url, clock)) as trace,
    ):
        channel.read()
        for after_s, key, requested in (
            (0, None, []),
            (0, KEY, [KEY]),
            (1, KEY, []),
            (TRACE_RENEWAL_S, KEY, [KEY]),
            (1, SessionKey("acme", "other"), [SessionKey("acme", "other")]),
            (TRACE_RENEWAL_S, None, []),
        ):
            clock.advance(after_s)
            trace.renew(key)
            requests = channel.read()
            assert [each.key for each in requests] == requested
            assert all(each.trace_s == TRACE_S for each in requests)


def test_without_a_redis_and_during_its_outage_nothing_is_traced() -> None:
    for url in (None, "redis://127.0.0.1:1"):
        with closing(TraceRenewal(url)) as trace:
            trace.renew(KEY)
