"""The command `inspect session`: request a description or trace of one session, and print it."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Annotated, Any, Final, NamedTuple
from uuid import uuid4

import msgspec
import typer

from conductor_actors.adapters.redis.introspection_channel import RedisIntrospectionClient
from conductor_actors.adapters.redis.log_stream import RedisLogReader
from conductor_actors.app.startup import configure
from conductor_actors.commands.inspect.log_sources import redis_url_of, require_redis
from conductor_actors.commands.inspect.session_text import description_lines, trace_line
from conductor_actors.commands.terminal import print_stderr, printable, require_text
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.introspection_protocol import (
    MAX_TRACE_S,
    IntrospectionAnswer,
    IntrospectionRequest,
)
from conductor_actors.errors import ConfigError, Unavailable

ANSWER_TIMEOUT_S: Final = 5.0
TRACE_POLL_S: Final = 0.2
TRACE_GRACE_S: Final = 5.0  # how late the last line of a trace may come

NO_TRACE_REASONS: Final = {
    "stdout": "the service has CONDUCTOR_LOG_STREAM=false: the trace is only on its stdout",
    "none": "the service has a CONDUCTOR_LOG_LEVEL above info: the trace is not logged",
}


class TraceOptions(NamedTuple):
    """Where a trace is read from, of which session, and whether it is printed as JSON."""

    reader: RedisLogReader
    key: SessionKey
    as_json: bool


def session(
    name: Annotated[str, typer.Argument(metavar="[TENANT/]ID", help="The session.")],
    *,
    trace: Annotated[
        bool, typer.Option("--trace", help="Print every message that it handles.")
    ] = False,
    for_s: Annotated[
        float,
        typer.Option("--for", min=1, max=MAX_TRACE_S, help="Seconds that a trace lasts."),
    ] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
) -> None:
    """Describe one session of a running service: windows, poll, score, mailbox, failures.

    The answer comes at once, even if messages wait for the session; users are counted, not listed.
    --trace prints each message that the session handles, at most 20 a second, until the trace ends
    or Ctrl-C; the service continues the trace until its time is over. Exit 1: no such session.
    """
    require_text("inspect session", name)
    settings = configure(sys.stderr)
    url = require_redis(redis_url_of(None, settings), settings)
    request = _make_request(SessionKey.parse(name), for_s if trace else None)
    with (
        closing(RedisIntrospectionClient(url)) as client,
        closing(RedisLogReader(url, 0)) as reader,
    ):
        reader.read()  # skip the lines before the trace
        answer = _request_answer(client, request)
        if trace:
            _print_trace(answer, TraceOptions(reader, request.key, as_json))
        else:
            _print_description(answer, as_json=as_json)


def _make_request(key: SessionKey, trace_s: float | None) -> IntrospectionRequest:
    request = IntrospectionRequest(uuid4().hex, *key, trace_s)
    try:
        return msgspec.convert(msgspec.to_builtins(request), IntrospectionRequest)
    except ValueError as error:  # msgspec's errors are ValueErrors
        raise ConfigError(f"inspect session: {error}") from None


def _request_answer(
    client: RedisIntrospectionClient, request: IntrospectionRequest
) -> IntrospectionAnswer:
    """Return the answer of the collector that has the session; raise `Unavailable` if none does."""
    until_s = time.monotonic() + ANSWER_TIMEOUT_S
    collectors = client.send(request)
    if not collectors:
        raise Unavailable("no collector listens on conductor:requests: is the service running?")
    for answers in range(collectors):
        left_s = until_s - time.monotonic()
        answer = client.next_answer(request, left_s) if left_s > 0 else None
        if answer is None:
            raise Unavailable(
                f"no answer within {ANSWER_TIMEOUT_S:g} s from {collectors - answers} of "
                f"{collectors} collectors; is one of them draining?"
            )
        if answer.is_known:
            return answer
    raise Unavailable(f"no such session: {printable(str(request.key))}")


def _print_description(answer: IntrospectionAnswer, *, as_json: bool) -> None:
    if as_json:  # ASCII: no control characters
        typer.echo(json.dumps(msgspec.to_builtins(answer)))
    elif answer.description is not None:
        for line in description_lines(answer.description, answer.next_tick_ms):
            typer.echo(line)


def _print_trace(answer: IntrospectionAnswer, options: TraceOptions) -> None:
    """Print the lines about the session until its trace ends."""
    left_s = answer.traced_s or 0.0
    print_stderr(f"tracing for {left_s:g} s")
    if answer.trace_output != "stream":
        print_stderr(NO_TRACE_REASONS[answer.trace_output or "none"])
        return
    until_s = time.monotonic() + left_s + TRACE_GRACE_S
    while time.monotonic() < until_s:
        for line in _read_trace(options):
            typer.echo(json.dumps(line) if options.as_json else trace_line(line))
            if line["event"] == "trace_ended":
                return
        time.sleep(TRACE_POLL_S)


def _read_trace(options: TraceOptions) -> Iterator[dict[str, Any]]:
    """Return the new log lines about the session; ignore everything that is not a log line."""
    for text in options.reader.read():
        try:
            line = msgspec.json.decode(text)
        except (ValueError, RecursionError):
            continue
        if not isinstance(line, dict) or not isinstance(line.get("event"), str):
            continue
        if (line.get("tenant"), line.get("session")) == options.key:
            yield line
