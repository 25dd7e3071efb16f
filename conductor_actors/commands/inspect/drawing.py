"""A report as a screen of any size: a header, and tables that share the lines below it."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from rich.console import Group, RenderableType
from rich.text import Text

from conductor_actors.commands.inspect.following import followed
from conductor_actors.commands.inspect.report import Report
from conductor_actors.commands.inspect.tables import ACTORS, SESSIONS, TENANTS, table
from conductor_actors.commands.inspect.updates import FollowedScore
from conductor_actors.commands.inspect.view import View
from conductor_actors.commands.terminal import count, duration, printable, rate, share, span

SILENT_S: Final = 15.0
KEYS: Final = "d mailbox r rate h handling o oldest n name · t tenant · ↑↓ f follow · q quit"
KEYS_FOLLOWING: Final = "f back · q quit"
EVERYTHING: Final = 1_000_000  # lines, where nobody has to scroll


class ScreenContext(NamedTuple):
    """What is known beside the lines: their source, its trouble, the followed session's score."""

    source: str
    trouble: str = ""
    update: FollowedScore | None = None
    can_score: bool = True


def render(
    report: Report, view: View, surroundings: ScreenContext, width: int, height: int
) -> RenderableType:
    """Draw a screen that fits."""
    head = [_title(report), _ticks(report), _alerts(report, surroundings)]
    if report.followed is not None:
        room = height - len(head) - 1
        body = followed(report.followed, surroundings.update, width, room)
        how = "" if surroundings.can_score else " · for its score set REDIS_URL"
        return Group(*head, *body, _dim(KEYS_FOLLOWING + how))
    return Group(*head, *_tables(report, view, width, height - len(head) - 1), _footer(view))


def plain(report: Report, view: View, surroundings: ScreenContext, width: int) -> RenderableType:
    """Draw everything once, for a file or a pipe."""
    head = [_title(report), _ticks(report), _alerts(report, surroundings)]
    if report.followed is not None:
        return Group(*head, *followed(report.followed, None, width, EVERYTHING))
    return Group(*head, *_tables(report, view, width, EVERYTHING, is_live=False))


def _tables(
    report: Report, view: View, width: int, room: int, *, is_live: bool = True
) -> Iterable[RenderableType]:
    """Share the lines: a quarter at least for tenants, and for sessions; actors take the rest."""
    order = view.choice.order
    room = max(3, room - 4)  # the titles, and how many are shown
    tenants = report.tenants[: max(1, room // 4)]
    actors = report.actors[: room - len(tenants) - max(1, room // 4)]
    room -= len(actors) + len(tenants)
    cursor = min(view.cursor, max(0, len(report.sessions) - 1))
    first = max(0, cursor - room + 1)
    sessions = report.sessions[first : first + room]
    yield table(ACTORS, actors, width)
    yield table(TENANTS, tenants, width, order)
    yield table(SESSIONS, sessions, width, order, cursor - first if is_live else None)
    yield _dim(_shown(report, len(sessions), len(tenants), view.choice.tenant))


def _shown(report: Report, sessions: int, tenants: int, tenant: str | None) -> str:
    of = f" of tenant {printable(tenant)}" if tenant else ""
    return (
        f"{sessions:,} of {report.session_count:,} sessions{of},"
        f" {tenants:,} of {report.tenant_count:,} tenants"
    )


def _title(report: Report) -> Text:
    service, flow = report.service, report.flow
    version = printable(service.version or "")
    title = Text(no_wrap=True, overflow="ellipsis").append(f"conductor {version}", style="bold")
    if service.phase not in ("running", "unknown"):
        title.append(f" {service.phase}", style="red")
    return title.append(
        f" · up {span(service.uptime_s)} · cpu {share(service.cpu_share)}"
        f" · {rate(flow.events_per_s)} events/s · {rate(flow.rows_per_s)} rows/s"
    )


def _ticks(report: Report) -> Text:
    tick = report.flow.tick
    if tick is None:
        return _dim("no tick yet")
    return Text(
        f"tick {tick.at:%H:%M:%S} UTC: {duration(tick.lag_s)} behind,"
        f" took {duration(tick.duration_s)} for {count(tick.sessions)} sessions",
        no_wrap=True,
        overflow="ellipsis",
    )


def _alerts(report: Report, surroundings: ScreenContext) -> Text:
    alerts = [*_troubles(report, surroundings)]
    if not alerts:
        return _dim(f"no outage, no gap; lines from {printable(surroundings.source)}")
    return Text(" · ".join(alerts), style="bold red", no_wrap=True, overflow="ellipsis")


def _troubles(report: Report, surroundings: ScreenContext) -> Iterable[str]:
    """Say what somebody should know, the worst first."""
    flow, lines = report.flow, report.lines
    if surroundings.trouble:
        yield printable(surroundings.trouble)
    if report.silent_s is None:
        yield "nothing was heard yet"
    elif report.silent_s >= SILENT_S:
        yield f"nothing was heard for {span(report.silent_s)}"
    for outage in report.outages:
        yield f"{printable(outage.service)} is away since {outage.began_at:%H:%M:%S}"
    for number, what in (
        (flow.gaps, f"gaps ({count(flow.lost_events)} events lost)"),
        (flow.refused_rows, "rows refused"),
        (flow.dropped_updates, "updates dropped"),
        (flow.invalid_events, "invalid events"),
        (lines.dropped, "log lines missing"),
        (lines.ignored, "lines ignored"),
    ):
        if number:
            yield f"{number:,} {what}"


def _footer(view: View) -> Text:
    if view.typed is None:
        return _dim(KEYS)
    return Text(f"tenant (none: all): {printable(view.typed)}_", style="bold", no_wrap=True)


def _dim(text: str) -> Text:
    return Text(text, style="dim", no_wrap=True, overflow="ellipsis")
