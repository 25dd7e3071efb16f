"""The command `inspect`: print one report, or redraw a screen several times a second."""

import json
import sys
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
import typer
from msgspec.structs import replace
from rich.console import Console, ConsoleDimensions
from rich.live import Live

from conductor_actors.app.partition_owners import PartitionOwners
from conductor_actors.app.startup import configure
from conductor_actors.commands.inspect.cluster_report import cluster_report
from conductor_actors.commands.inspect.log_sources import (
    LogSource,
    LogStreamSource,
    open_source,
    redis_url_of,
)
from conductor_actors.commands.inspect.rendering import ScreenContext, render_plain, render_screen
from conductor_actors.commands.inspect.report import (
    Selection,
    ServiceReport,
    SortOrder,
    make_report,
)
from conductor_actors.commands.inspect.screen_view import ScreenView
from conductor_actors.commands.inspect.service_model import ServiceModel
from conductor_actors.commands.inspect.trace_renewal import TraceRenewal
from conductor_actors.commands.inspect.update_follower import UpdateFollower
from conductor_actors.commands.terminal import Keyboard, keyboard, require_text
from conductor_actors.domain.identity import SessionKey
from conductor_actors.errors import Unavailable
from conductor_actors.observability.collector_status import CollectorStatus, StatusReader
from conductor_actors.observability.logs import is_plain

SCREEN_REFRESH_S: Final = 0.2
SOURCE_POLL_S: Final = 0.02


def inspect(  # noqa: PLR0913 - an option each
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help="A file of log lines, - for a pipe, or the redis://… of a service. Default: "
            "a pipe on stdin, else REDIS_URL, else the embedded Valkey of a running service.",
        ),
    ] = None,
    *,
    once: Annotated[bool, typer.Option("--once", help="Print once, then exit.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    sort: Annotated[SortOrder, typer.Option(help="Sort sessions and tenants by this.")] = "depth",
    tenant: Annotated[str | None, typer.Option(help="Show only this tenant.")] = None,
    follow: Annotated[
        str | None, typer.Option(metavar="[TENANT/]ID", help="Show one session in detail.")
    ] = None,
    minutes: Annotated[
        float,
        typer.Option(
            min=0, max=100_000, help="Minutes of log lines to read from Redis at the start."
        ),
    ] = 10,
) -> None:
    """Show the actors of a running service, live, from its log lines; q quits.

    `inspect session [TENANT/]ID` describes one session, or traces it.

    Only the last 8 MB of a file are read; --once reads a pipe to its end. Without a terminal,
    it prints once.
    """
    require_text("--follow", follow)
    require_text("--tenant", tenant)
    settings = configure(sys.stderr)
    followed = SessionKey.parse(follow) if follow else None
    view = ScreenView(Selection(sort, tenant), followed=followed)
    redis_url = redis_url_of(source, settings)
    with (
        closing(open_source(source, redis_url, settings, minutes)) as lines,
        closing(UpdateFollower(redis_url)) as updates,
    ):
        live_url = redis_url if isinstance(lines, LogStreamSource) else None
        owners = PartitionOwners(settings, live_url) if live_url else None
        read_owners = owners.status if owners else CollectorStatus
        inspection = Inspection(lines, updates, view, lambda: datetime.now(UTC), read_owners)
        if once or as_json or is_plain(sys.stdout):
            if owners:
                owners.read()
            _print(inspection, lines, as_json=as_json)
        else:
            with (
                owners.polled() if owners else nullcontext(),
                closing(TraceRenewal(live_url)) as trace,
                keyboard() as keys,
            ):
                _show(inspection, trace, Console(), keys)


class Inspection:
    """The log lines and updates that were read, and what the user selected."""

    def __init__(
        self,
        source: LogSource,
        updates: UpdateFollower,
        view: ScreenView,
        now: Callable[[], datetime],
        read_owners: StatusReader = CollectorStatus,
    ) -> None:
        self._read_owners = read_owners
        self._source = source
        self._updates = updates
        self.now = now
        self._model = ServiceModel(view.followed)
        self.view = view
        self._updates.follow(view.followed)

    def read(self) -> bool:
        """Read the available lines and updates; return whether there were any."""
        lines = self._source.read()
        for line in lines:
            self._model.add(line)
        return self._updates.read() or bool(lines)

    def press(self, key: str) -> None:
        """Change the view after a key was pressed."""
        self.view = self.view.after(key, self.report())
        self._model.follow(self.view.followed)
        self._updates.follow(self.view.followed)

    def report(self) -> ServiceReport:
        """Return the current report."""
        report = make_report(self._model, self.now(), self.view.selection)
        return replace(report, cluster=cluster_report(self._read_owners()))

    def context(self) -> ScreenContext:
        """Return what the screen shows in addition to the report."""
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
    if as_json:  # ASCII: no control characters
        typer.echo(json.dumps(msgspec.to_builtins(report)))
    else:
        console = Console()
        console.print(render_plain(report, inspection.view, inspection.context(), console.width))


def _show(
    inspection: Inspection, trace: TraceRenewal, console: Console, keyboard: Keyboard
) -> None:
    """Redraw the screen after new lines and keys, and every second, until the user quits."""
    drawn_at: tuple[ConsoleDimensions, int] | None = None
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while not inspection.view.is_over:
            trace.renew(inspection.view.followed)
            has_changed = inspection.read()
            now = console.size, int(inspection.now().timestamp())
            if has_changed or now != drawn_at:
                drawn_at = now
                report, view, context = inspection.report(), inspection.view, inspection.context()
                frame = render_screen(report, view, context, console.width, console.height)
                live.update(frame, refresh=True)
            for key in keyboard.read(SCREEN_REFRESH_S):
                inspection.press(key)
                drawn_at = None
