"""The command `inspect`: one report, or a screen that is redrawn several times a second."""

import json
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console, ConsoleDimensions
from rich.live import Live

from conductor_actors.commands.inspect.log_sources import (
    LogSource,
    LogStreamSource,
    open_source,
    redis_url_of,
)
from conductor_actors.commands.inspect.model import ServiceModel
from conductor_actors.commands.inspect.rendering import ScreenContext, render_plain, render_screen
from conductor_actors.commands.inspect.report import (
    Selection,
    ServiceReport,
    SortOrder,
    make_report,
)
from conductor_actors.commands.inspect.session_introspection import TraceRenewal
from conductor_actors.commands.inspect.update_follower import UpdateFollower
from conductor_actors.commands.inspect.view import ScreenView
from conductor_actors.commands.terminal import Keyboard, keyboard
from conductor_actors.domain.identity import SessionKey
from conductor_actors.errors import Unavailable
from conductor_actors.observability import logs
from conductor_actors.settings import load_settings

SCREEN_REFRESH_S: Final = 0.2
SOURCE_POLL_S: Final = 0.02


def inspect(  # noqa: PLR0913 - an option each
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help="A file of log lines, - for a pipe, or redis://… of a service. Without it: what "
            "is piped in, else REDIS_URL, else the embedded Valkey of a running service.",
        ),
    ] = None,
    *,
    once: Annotated[bool, typer.Option("--once", help="Print it once, and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    sort: Annotated[
        SortOrder, typer.Option(help="What sessions and tenants are sorted by.")
    ] = "depth",
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
    settings = load_settings()
    logs.configure(settings.log_level, settings.log_format, sys.stderr)
    followed = SessionKey.parse(follow) if follow else None
    view = ScreenView(Selection(sort, tenant), followed=followed)
    redis_url = redis_url_of(source, settings)
    with (
        closing(open_source(source, redis_url, settings, minutes)) as lines,
        closing(UpdateFollower(redis_url)) as updates,
    ):
        inspection = Inspection(lines, updates, view, lambda: datetime.now(UTC))
        if once or as_json or not sys.stdout.isatty():
            _print(inspection, lines, as_json=as_json)
        else:
            traced_url = redis_url if isinstance(lines, LogStreamSource) else None
            with closing(TraceRenewal(traced_url)) as trace, keyboard() as keys:
                _show(inspection, trace, Console(), keys)


class Inspection:
    """The lines and updates read so far, and the view of them."""

    def __init__(
        self,
        source: LogSource,
        updates: UpdateFollower,
        view: ScreenView,
        now: Callable[[], datetime],
    ) -> None:
        self._source = source
        self._updates = updates
        self.now = now
        self._model = ServiceModel(view.followed)
        self.view = view
        self._updates.follow(view.followed)

    def read(self) -> bool:
        """Read the lines and updates that are there; return whether there were any."""
        lines = self._source.read()
        for line in lines:
            self._model.add(line)
        return self._updates.read() or bool(lines)

    def press(self, key: str) -> None:
        """Change the view by a key."""
        self.view = self.view.after(key, self.report())
        self._model.follow(self.view.followed)
        self._updates.follow(self.view.followed)

    def report(self) -> ServiceReport:
        """Return the report of this moment."""
        return make_report(self._model, self.now(), self.view.selection)

    def context(self) -> ScreenContext:
        """Return what the screen shows beside the report."""
        source, updates = self._source, self._updates
        return ScreenContext(source.name, source.trouble, updates.newest, updates.can_read)


def _print(inspection: Inspection, source: LogSource, *, as_json: bool) -> None:
    """Read all lines, then print the report."""
    while inspection.read() or not source.has_all:
        if source.trouble and not source.is_over:
            raise Unavailable(source.trouble)
        if not source.has_all:
            time.sleep(SOURCE_POLL_S)
    report = inspection.report()
    if as_json:  # ASCII: nothing in it can move a cursor
        typer.echo(json.dumps(msgspec.to_builtins(report)))
    else:
        console = Console()
        console.print(render_plain(report, inspection.view, inspection.context(), console.width))


def _show(
    inspection: Inspection, trace: TraceRenewal, console: Console, keyboard: Keyboard
) -> None:
    """Redraw the screen after new lines and keys, and every second, until the user quits."""
    shown: tuple[ConsoleDimensions, int] | None = None
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while not inspection.view.is_over:
            trace.renew(inspection.view.followed)
            has_news = inspection.read()
            now = console.size, int(inspection.now().timestamp())
            if has_news or now != shown:
                shown = now
                report, view, context = inspection.report(), inspection.view, inspection.context()
                picture = render_screen(report, view, context, console.width, console.height)
                live.update(picture, refresh=True)
            for key in keyboard.read(SCREEN_REFRESH_S):
                inspection.press(key)
                shown = None
