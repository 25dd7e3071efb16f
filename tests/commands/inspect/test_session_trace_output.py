"""Traces are printed line by line, and only the trace of the followed session is renewed."""

import json
from contextlib import closing

import pytest

from conductor_actors.adapters.redis.introspection_channel import RedisIntrospectionChannel
from conductor_actors.commands.inspect.session_text import trace_line
from conductor_actors.commands.inspect.trace_renewal import TRACE_RENEWAL_S, TRACE_S, TraceRenewal
from conductor_actors.domain.identity import SessionKey
from tests.commands.inspect.sample_lines import of_session
from tests.support.fakes.fake_clock import FakeClock

KEY = SessionKey("acme", "keynote")


def test_a_trace_is_requested_at_once_and_renewed_before_it_ends(valkey_url: str) -> None:
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


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            of_session(
                "message_traced",
                at_s=0.543,
                kind="EventBatch",
                kinds={"UserLeft": 1, "PollVote": 2},
            ),
            "  EventBatch      0 ms, 0 waiting  1 UserLeft, 2 PollVote",
        ),
        (
            of_session(
                "message_traced",
                at_s=0.543,
                kind="Tick",
                score=0.57,
                duration_s=33e-6,
                suppressed=7,
            ),
            "  Tick           33 µs, 0 waiting  score 57% (7 omitted before)",
        ),
        (
            of_session(
                "message_traced", at_s=0.543, kind="Tick", mailbox_depth=1200, has_failed=True
            ),
            "  Tick            0 ms, 1,200 waiting   failed",
        ),
        (
            of_session("actor_failed", at_s=0.543, error="KeyError('\x1b[2J')"),
            r"  actor_failed  error KeyError('\x1b[2J')",
        ),
    ],
)
def test_each_line_of_a_trace_is_printed_as_one_line_of_text(line: bytes, text: str) -> None:
    assert trace_line(json.loads(line)) == f"12:00:00.543{text}"
