"""The command `inspect`: which source, once or live, as a screen or as JSON."""

import json
import os
import stat
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console

from conductor_actors import settings as configuration
from conductor_actors.commands.inspect.drawing import plain
from conductor_actors.commands.inspect.reach import REDIS, url_of
from conductor_actors.commands.inspect.reporting import Choice, Order
from conductor_actors.commands.inspect.screen import LOOK_EVERY_S, Watch, show
from conductor_actors.commands.inspect.session_introspection import TraceRenewal
from conductor_actors.commands.inspect.sources import (
    FileSource,
    LogStreamSource,
    PipeSource,
    Source,
)
from conductor_actors.commands.inspect.updates import Updates
from conductor_actors.commands.inspect.view import View
from conductor_actors.commands.terminal import Keyboard, keyboard
from conductor_actors.domain.identity import SessionKey
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.observability import logs
from conductor_actors.settings import Settings

PIPE: Final = "-"


def inspect(  # noqa: PLR0913 - an option each
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help="A file of log lines, - for a pipe, or redis://… of a service. Without it: what "
            "is piped in, else REDIS_URL, else the own Valkey of a service that runs.",
        ),
    ] = None,
    *,
    once: Annotated[bool, typer.Option("--once", help="Print it once, and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    sort: Annotated[Order, typer.Option(help="What sessions and tenants are sorted by.")] = "depth",
    tenant: Annotated[str | None, typer.Option(help="Show this tenant alone.")] = None,
    follow: Annotated[
        str | None, typer.Option(metavar="[TENANT/]ID", help="Show this session closely.")
    ] = None,
    minutes: Annotated[
        float, typer.Option(min=0, max=100_000, help="How far to look back in Redis.")
    ] = 10,
) -> None:
    """Show the actors of a running service, live, from its log lines; q ends it.

    `inspect session [TENANT/]ID` describes one session, or traces it.

    Of a file the last 8 MB are read; a pipe is read to its end by --once. Without a terminal it
    prints once.
    """
    settings = configuration.load()
    logs.configure(settings.log_level, settings.log_format, sys.stderr)
    view = View(Choice(sort, tenant), followed=SessionKey.parse(follow) if follow else None)
    redis_url = url_of(source, settings)
    with (
        closing(_source(source, redis_url, settings, minutes)) as lines,
        closing(Updates(redis_url)) as updates,
    ):
        watch = Watch(lines, updates, view, lambda: datetime.now(UTC))
        if once or as_json or not sys.stdout.isatty():
            _print(watch, lines, as_json=as_json)
        else:
            traced_url = redis_url if isinstance(lines, LogStreamSource) else None
            with closing(TraceRenewal(traced_url)) as trace, keyboard() as keys:
                show(watch, trace, Console(), keys)


def _source(
    source: str | None, redis_url: str | None, settings: Settings, minutes: float
) -> Source:
    if source == PIPE or (source is None and _is_piped(sys.stdin.fileno())):
        return PipeSource(sys.stdin.fileno())
    if source is not None and not source.startswith(REDIS):
        return _file(Path(source))
    if redis_url is None:
        raise ConfigError(
            f"REDIS_URL is not set and no service runs its own Valkey in {settings.state_dir}: "
            "set REDIS_URL, or name a source, e.g. inspect service.log"
        )
    return LogStreamSource(redis_url, minutes)


def _is_piped(descriptor: int) -> bool:
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:  # it is closed
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def _file(path: Path) -> Source:
    if path.is_fifo():
        return PipeSource(os.open(path, os.O_RDONLY), str(path))
    return FileSource(path)


def _print(watch: Watch, source: Source, *, as_json: bool) -> None:
    """Read all there is, then print what is known."""
    nobody = Keyboard(None)
    while watch.step() or not source.has_all:
        if source.trouble and not source.is_over:
            raise Unavailable(source.trouble)
        if not source.has_all:
            nobody.read(LOOK_EVERY_S / 10)
    report = watch.report()
    if as_json:  # ASCII: nothing in it can move a cursor
        typer.echo(json.dumps(msgspec.to_builtins(report)))
    else:
        console = Console()
        console.print(plain(report, watch.view, watch.surroundings(), console.width))
