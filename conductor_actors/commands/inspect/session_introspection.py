"""The command `inspect session`: one session described or traced by the collector that has it."""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from typing import Annotated, Any, Final, NamedTuple
from uuid import uuid4

import msgspec
import typer

from conductor_actors.adapters.redis.introspection_channel import RedisIntrospectionClient
from conductor_actors.adapters.redis.log_stream import RedisLogReader
from conductor_actors.commands.inspect.log_sources import redis_url_of, require_redis
from conductor_actors.commands.inspect.tables import (
    KIND_CELLS,
    message_summary,
    session_label,
    signal_lines,
)
from conductor_actors.commands.terminal import count, duration, print_stderr, printable, share, span
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.introspection_protocol import (
    MAX_TRACE_S,
    IntrospectionAnswer,
    IntrospectionRequest,
    PollFigures,
    ScoreFigures,
    SessionDescription,
    StateFigures,
    Supervision,
)
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.instants import to_datetime
from conductor_actors.log_events import MessageTraced
from conductor_actors.observability import logs
from conductor_actors.ports import Clock
from conductor_actors.settings import load_settings

ANSWER_TIMEOUT_S: Final = 5.0
TRACE_POLL_S: Final = 0.2
TRACE_GRACE_S: Final = 5.0  # how late the last line of a trace may come

NO_TRACE_OUTPUT: Final = {
    "stdout": "CONDUCTOR_LOG_STREAM is false there: the lines are on the service's stdout alone",
    "none": "CONDUCTOR_LOG_LEVEL there is above info: no line of the trace is written",
}


class TraceView(NamedTuple):
    """How a trace is printed: read from where, of which session, as text or as JSON."""

    reader: RedisLogReader
    key: SessionKey
    as_json: bool


def session(
    name: Annotated[str, typer.Argument(metavar="[TENANT/]ID", help="Which session.")],
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

    The answer comes at once, however much the session has to do; users are counted, not listed.
    --trace prints each message that the session handles, 20 a second at most, until the trace ends
    or Ctrl-C; the service continues the trace until its time is over. Exit 1: no such session.
    """
    settings = load_settings()
    logs.configure(settings.log_level, settings.log_format, sys.stderr)
    url = require_redis(redis_url_of(None, settings), settings)
    request = _request(SessionKey.parse(name), for_s if trace else None)
    with (
        closing(RedisIntrospectionClient(url)) as client,
        closing(RedisLogReader(url, 0)) as reader,
    ):
        reader.read()  # skips the lines before the trace
        answer = _answer(client, request)
        if trace:
            _print_trace(answer, TraceView(reader, request.key, as_json))
        else:
            _print_description(answer, as_json=as_json)


def _request(key: SessionKey, trace_s: float | None) -> IntrospectionRequest:
    request = IntrospectionRequest(uuid4().hex, *key, trace_s)
    try:
        return msgspec.convert(msgspec.to_builtins(request), IntrospectionRequest)
    except ValueError as error:  # msgspec's errors are ValueErrors
        raise ConfigError(f"inspect session: {error}") from None


def _answer(client: RedisIntrospectionClient, request: IntrospectionRequest) -> IntrospectionAnswer:
    """Return the answer of the collector that has the session; raise `Unavailable` if none has."""
    until_s = time.monotonic() + ANSWER_TIMEOUT_S
    collectors = client.send(request)
    if not collectors:
        raise Unavailable("nobody listens on conductor:requests: no collector runs at that Redis")
    for answered in range(collectors):
        left_s = until_s - time.monotonic()
        answer = client.next_answer(request, left_s) if left_s > 0 else None
        if answer is None:
            raise Unavailable(
                f"no answer within {ANSWER_TIMEOUT_S:g} s from {collectors - answered} of "
                f"{collectors} collectors; is one of them draining?"
            )
        if answer.is_known:
            return answer
    raise Unavailable(f"no such session: {printable(str(request.key))}")


def _print_description(answer: IntrospectionAnswer, *, as_json: bool) -> None:
    if as_json:  # ASCII: nothing in it can move a cursor
        typer.echo(json.dumps(msgspec.to_builtins(answer)))
    elif answer.description is not None:
        for line in description_lines(answer.description, answer.next_tick_ms):
            typer.echo(line)


def _print_trace(answer: IntrospectionAnswer, view: TraceView) -> None:
    """Print the lines about the session until its trace ends."""
    left_s = answer.traced_s or 0.0
    print_stderr(f"traced for {left_s:g} s")
    if answer.trace_output != "stream":
        print_stderr(NO_TRACE_OUTPUT[answer.trace_output or "none"])
        return
    until_s = time.monotonic() + left_s + TRACE_GRACE_S
    while time.monotonic() < until_s:
        for line in _new_lines(view):
            typer.echo(json.dumps(line) if view.as_json else trace_line(line))
            if line["event"] == "trace_ended":
                return
        time.sleep(TRACE_POLL_S)


def _new_lines(view: TraceView) -> Iterator[dict[str, Any]]:
    """Return the new lines about the session. A log is hostile: what is no line is ignored."""
    for text in view.reader.read():
        try:
            line = msgspec.json.decode(text)
        except (ValueError, RecursionError):
            continue
        if not isinstance(line, dict) or not isinstance(line.get("event"), str):
            continue
        if (line.get("tenant"), line.get("session")) == view.key:
            yield line


_LABEL_CELLS: Final = 12
_OMITTED_KEYS: Final = {"timestamp", "level", "event", "actor", "tenant", "session", "exception"}


def description_lines(one: SessionDescription, next_tick_ms: int | None) -> Iterable[str]:
    """Return a description as text, one line for each subject."""
    figures, mailbox = one.figures, one.mailbox
    mean_s = mailbox.busy_s / mailbox.handled if mailbox.handled else None
    name = session_label(one.tenant, one.session)
    state: str = one.state
    if one.supervision.quarantine_left_s is not None:
        state += f", for another {span(one.supervision.quarantine_left_s)}"
    yield _row("session", f"{name} · {state}")
    yield _row("event", printable(figures.event_id))
    newest = f"newest event {_time(figures.last_event_ms)}"
    yield _row("position", f"{newest}, {_ticks(figures, next_tick_ms)}")
    waiting = f"{mailbox.depth:,} waiting, the oldest for {duration(mailbox.oldest_s)}"
    done = f"{mailbox.handled:,} handled in {duration(mean_s)} each, {mailbox.refused:,} refused"
    yield _row("mailbox", f"{waiting}; {done}")
    yield _row("window", f"{figures.chats.total:,} messages, {figures.reactions.total:,} reactions")
    users = f"{figures.active:,} active, {figures.connected:,} connected, {figures.leavers:,} left"
    yield _row("users", users)
    yield _row("poll", _poll(figures.poll))
    yield from _score(figures.score)
    stored = f"{figures.message_ids:,} message ids, {figures.encoded_bytes:,} bytes in a checkpoint"
    yield _row("remembered", stored)
    yield from _supervision(one.supervision)


def trace_line(line: Mapping[str, Any]) -> str:
    """Return a log line about one session as text, whatever event it is."""
    at = str(line.get("timestamp", ""))[11:23]
    try:
        traced = msgspec.convert(line, MessageTraced)
    except ValueError:  # msgspec's errors are ValueErrors
        pairs = [f"{key} {line[key]}" for key in line if key not in _OMITTED_KEYS]
        return printable(f"{at}  {line['event']}  {', '.join(pairs)}").rstrip()
    summary = message_summary(traced.kinds, traced.score, has_failed=traced.has_failed)
    omitted = f" ({traced.suppressed} left out before)" if traced.suppressed else ""
    figures = f"{duration(traced.duration_s):>7}, {traced.mailbox_depth:,} waiting"
    return printable(f"{at}  {traced.kind:{KIND_CELLS}} {figures}  {summary}{omitted}".rstrip())


def _row(label: str, text: str) -> str:
    return f"{label:{_LABEL_CELLS}}{text}"


def _time(at_ms: int | None) -> str:
    if at_ms is None:
        return "-"
    return f"{to_datetime(at_ms):%H:%M:%S}"


def _ticks(figures: StateFigures, next_tick_ms: int | None) -> str:
    return f"last tick {_time(figures.last_tick_ms)}, next {_time(next_tick_ms)} UTC"


def _poll(poll: PollFigures | None) -> str:
    if poll is None:
        return "none"
    state = "open" if poll.is_open else "closed"
    return (
        f"{printable(poll.id)}: {poll.voters:,} voters of {poll.base:,}, {state}, "
        f"last vote {_time(poll.last_vote_ms)}"
    )


def _score(score: ScoreFigures | None) -> Iterable[str]:
    if score is None:
        yield _row("score", "none: it has not begun, or is over")
        return
    how = "tick" if score.is_tick else "so far, at"
    yield _row("score", f"{share(score.score)} {score.category} ({how} {_time(score.at_ms)})")
    for line in signal_lines(score.signals, score.contributions):
        yield _row("", line)


def _supervision(supervision: Supervision) -> Iterable[str]:
    yield _row("restarts", count(supervision.restarts))
    for failure in supervision.failures:
        yield _row("", f"{span(failure.ago_s)} ago: {printable(failure.error)}")


TRACE_S: Final = 30.0
TRACE_RENEWAL_S: Final = 20.0
TRACE_REQUEST_TIMEOUT_S: Final = 1.0


class TraceRenewal:
    """Renews the trace of the followed session; without Redis or its permission there is none."""

    def __init__(self, url: str | None, clock: Clock = time.monotonic) -> None:
        self._client = RedisIntrospectionClient(url, TRACE_REQUEST_TIMEOUT_S) if url else None
        self._clock = clock
        self._key: SessionKey | None = None
        self._due_s = 0.0

    def renew(self, key: SessionKey | None) -> None:
        """Request a trace of this session if one is due; call it several times a second."""
        if key != self._key:
            self._key, self._due_s = key, float("-inf")
        if key is None or self._client is None or self._clock() < self._due_s:
            return
        self._due_s = self._clock() + TRACE_RENEWAL_S
        try:
            self._client.send(IntrospectionRequest(uuid4().hex, *key, TRACE_S))
        except (Unavailable, ConfigError):  # the screen shows the other figures
            return

    def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            self._client.close()
