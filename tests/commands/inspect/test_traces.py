"""The trace of the session that somebody follows is kept up, and nothing else is traced."""

from contextlib import closing

from conductor_actors.adapters.redis.introspection_channel import IntrospectionChannel
from conductor_actors.commands.inspect.traces import RENEW_EVERY_S, TRACE_S, Traces
from conductor_actors.domain.identity import SessionKey
from tests.support.fakes.fake_clock import FakeClock

KEY = SessionKey("acme", "keynote")


def test_a_trace_is_asked_for_at_once_and_renewed_before_it_ends(
    valkey_url: str, redis_client: object
) -> None:
    del redis_client  # for its empty database
    clock = FakeClock()
    with (
        closing(IntrospectionChannel(valkey_url)) as desk,
        closing(Traces(valkey_url, clock)) as traces,
    ):
        desk.take()
        for after_s, key, asked in (
            (0, None, []),
            (0, KEY, [KEY]),
            (1, KEY, []),
            (RENEW_EVERY_S, KEY, [KEY]),
            (1, SessionKey("acme", "other"), [SessionKey("acme", "other")]),
            (RENEW_EVERY_S, None, []),
        ):
            clock.advance(after_s)
            traces.keep(key)
            requests = desk.take()
            assert [each.key for each in requests] == asked
            assert all(each.trace_s == TRACE_S for each in requests)


def test_without_a_redis_and_while_it_is_away_nothing_is_traced() -> None:
    for url in (None, "redis://127.0.0.1:1"):
        with closing(Traces(url)) as traces:
            traces.keep(KEY)
