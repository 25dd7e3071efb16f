"""The command `inspect session`: ask the collectors about one session, or have it traced."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Annotated, Any, Final, NamedTuple
from uuid import uuid4

import msgspec
import typer

from conductor_actors import settings as configuration
from conductor_actors.adapters.redis.introspection_channel import RedisAsker
from conductor_actors.adapters.redis.log_stream import RedisLogReader
from conductor_actors.commands.inspect.describing import lines_of, trace_line
from conductor_actors.commands.inspect.reach import url_of
from conductor_actors.commands.terminal import printable
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.introspection_protocol import LONGEST_TRACE_S, Answer, Request
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.observability import logs

ANSWERS_WITHIN_S: Final = 5.0
LOOK_EVERY_S: Final = 0.2
LATE_S: Final = 5.0  # how long the last line of a trace may take

NOWHERE: Final = {
    "stdout": "CONDUCTOR_LOG_STREAM is false there: the lines are on the service's stdout alone",
    "none": "CONDUCTOR_LOG_LEVEL there is above info: no line of the trace is written",
}


class _Lines(NamedTuple):
    """A trace as it is told: the stream, whose session, and whether to print it as it is."""

    reader: RedisLogReader
    key: SessionKey
    as_json: bool


def session(
    name: Annotated[str, typer.Argument(metavar="[TENANT/]ID", help="Which session.")],
    *,
    trace: Annotated[
        bool, typer.Option("--trace", help="Tell every message that it handles.")
    ] = False,
    for_s: Annotated[
        float,
        typer.Option("--for", min=1, max=LONGEST_TRACE_S, help="Seconds that a trace lasts."),
    ] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
) -> None:
    """Ask the running service about one session: windows, poll, score, mailbox, failures.

    The answer comes at once, however much the session has to do; users are counted, not listed.
    --trace shows each message that it handles, 20 a second at most, until the trace ends or
    Ctrl-C; the service goes on with the trace until its time is over. Exit 1: no such session.
    """
    settings = configuration.load()
    logs.configure(settings.log_level, settings.log_format, sys.stderr)
    url = url_of(None, settings)
    if url is None:
        raise ConfigError(
            f"REDIS_URL is not set and no service runs its own Valkey in {settings.state_dir}: "
            "set REDIS_URL"
        )
    request = _request(SessionKey.parse(name), for_s if trace else None)
    with closing(RedisAsker(url)) as asker, closing(RedisLogReader(url, 0)) as reader:
        reader.read()  # from now on
        answer = _answer(asker, request)
        if trace:
            _show_trace(answer, _Lines(reader, request.key, as_json))
        else:
            _print(answer, as_json=as_json)


def _request(key: SessionKey, trace_s: float | None) -> Request:
    request = Request(uuid4().hex, *key, trace_s)
    try:
        return msgspec.convert(msgspec.to_builtins(request), Request)
    except ValueError as error:  # msgspec's errors are ValueErrors
        raise ConfigError(f"inspect session: {error}") from None


def _answer(asker: RedisAsker, request: Request) -> Answer:
    """Ask every collector, and wait for the one that knows the session."""
    until_s = time.monotonic() + ANSWERS_WITHIN_S
    listeners = asker.ask(request)
    if not listeners:
        raise Unavailable("nobody listens on conductor:requests: no collector runs at that Redis")
    for known in range(listeners):
        left_s = until_s - time.monotonic()
        answer = asker.next_answer(request, left_s) if left_s > 0 else None
        if answer is None:
            raise Unavailable(
                f"no answer within {ANSWERS_WITHIN_S:g} s from {listeners - known} of {listeners} "
                f"collectors; is one of them draining?"
            )
        if answer.is_known:
            return answer
    raise Unavailable(f"no such session: {printable(str(request.key))}")


def _print(answer: Answer, *, as_json: bool) -> None:
    if as_json:  # ASCII: nothing in it can move a cursor
        typer.echo(json.dumps(msgspec.to_builtins(answer)))
    elif answer.description is not None:
        for line in lines_of(answer.description, answer.next_tick_ms):
            typer.echo(line)


def _show_trace(answer: Answer, lines: _Lines) -> None:
    """Print what is told of the session until its trace ends."""
    left_s = answer.traced_s or 0.0
    typer.echo(f"traced for {left_s:g} s", err=True)
    if answer.lines != "stream":
        typer.echo(NOWHERE[answer.lines or "none"], err=True)
        return
    until_s = time.monotonic() + left_s + LATE_S
    while time.monotonic() < until_s:
        for line in _of_session(lines):
            typer.echo(json.dumps(line) if lines.as_json else trace_line(line))
            if line["event"] == "trace_ended":
                return
        time.sleep(LOOK_EVERY_S)


def _of_session(lines: _Lines) -> Iterator[dict[str, Any]]:
    """Give what came since, of this session. A log is hostile: what is no line is passed over."""
    for text in lines.reader.read():
        try:
            line = msgspec.json.decode(text)
        except (ValueError, RecursionError):
            continue
        if not isinstance(line, dict) or not isinstance(line.get("event"), str):
            continue
        if (line.get("tenant"), line.get("session")) == lines.key:
            yield line
