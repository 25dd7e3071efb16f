"""The report as a screen of any size: a header, then three tables or the followed session."""

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from textwrap import wrap
from typing import Final, NamedTuple

from rich.console import Group, RenderableType
from rich.text import Text

from conductor_actors.commands.inspect.cluster_report import ClusterReport
from conductor_actors.commands.inspect.histories import Incident, TracedMessage
from conductor_actors.commands.inspect.report import FollowedSession, ServiceReport
from conductor_actors.commands.inspect.screen_view import ScreenView
from conductor_actors.commands.inspect.tables import (
    ACTOR_COLUMNS,
    KIND_CELLS,
    SESSION_COLUMNS,
    TENANT_COLUMNS,
    draw_table,
    message_summary,
    signal_lines,
)
from conductor_actors.commands.terminal import count, duration, printable, rate, share, span
from conductor_actors.wire.updates import Update

LOG_SILENCE_ALERT_S: Final = 15.0
KEYS: Final = "d mailbox r rate h handling o oldest n name · t tenant · ↑↓ f follow · q quit"
KEYS_FOLLOWING: Final = "f back · q quit"
UNLIMITED_LINES: Final = 1_000_000

_EVENT_CELLS: Final = 20
_LINES_BESIDE_MESSAGES: Final = 15


class ScreenContext(NamedTuple):
    """What the screen shows beside the report: the source of lines, its error, and the score."""

    source: str
    trouble: str = ""
    update: Update | None = None
    can_score: bool = True


def render_screen(
    report: ServiceReport, view: ScreenView, context: ScreenContext, width: int, height: int
) -> RenderableType:
    """Return a screen of at most this size."""
    head = _head(report, context)
    room = height - len(head) - 1
    if report.followed is not None:
        body = _followed(report.followed, context.update, width, room)
        hint = "" if context.can_score else " · set REDIS_URL to see the score"
        return Group(*head, *body, _dim(KEYS_FOLLOWING + hint))
    return Group(*head, *_tables(report, view, width, room), _footer(view))


def render_plain(
    report: ServiceReport, view: ScreenView, context: ScreenContext, width: int
) -> RenderableType:
    """Return the whole report, for a file or a pipe."""
    head = _head(report, context)
    if report.followed is not None:
        return Group(*head, *_followed(report.followed, None, width, UNLIMITED_LINES))
    return Group(*head, *_tables(report, view, width, UNLIMITED_LINES, is_live=False))


def _head(report: ServiceReport, context: ScreenContext) -> list[RenderableType]:
    cluster = [] if report.cluster is None else [_cluster(report.cluster)]
    return [_title(report), *cluster, _ticks(report), _alerts(report, context)]


def _title(report: ServiceReport) -> Text:
    service, flow = report.service, report.flow
    title = _line("").append(f"conductor {printable(service.version or '')}", style="bold")
    if service.phase not in ("running", "unknown"):
        title.append(f" {service.phase}", style="red")
    return title.append(
        f" · up {span(service.uptime_s)} · cpu {share(service.cpu_share)}"
        f" · {rate(flow.events_per_s)} events/s · {rate(flow.rows_per_s)} rows/s"
    )


def _cluster(cluster: ClusterReport) -> Text:
    hosts = "coordinator away"
    if cluster.hosts is not None and cluster.nodes is not None:
        hosts = f"{cluster.hosts:,} hosts on {cluster.nodes:,} nodes"
    lag = f" · {duration(cluster.lag_s)} behind" if cluster.lag_s is not None else ""
    line = _line(f"{hosts} · {cluster.partitions:,} partitions{lag}")
    for obstacle in cluster.obstacles:
        line.append(f" · {printable(obstacle)}", style="bold red")
    return line


def _ticks(report: ServiceReport) -> Text:
    tick = report.flow.tick
    if tick is None:
        return _dim("no tick yet")
    anomalies = report.flow.open_anomalies
    return _line(
        f"tick {tick.at:%H:%M:%S} UTC: {duration(tick.lag_s)} behind,"
        f" took {duration(tick.duration_s)} for {count(tick.sessions)} sessions"
        f"{f' · {anomalies:,} with an anomaly' if anomalies else ''}"
    )


def _alerts(report: ServiceReport, context: ScreenContext) -> Text:
    alerts = [*_alert_texts(report, context)]
    if not alerts:
        return _dim(f"no outage, no gap; lines from {printable(context.source)}")
    return _line(" · ".join(alerts), "bold red")


def _alert_texts(report: ServiceReport, context: ScreenContext) -> Iterable[str]:
    """Return what needs attention, the most severe first."""
    flow, lines = report.flow, report.lines
    if context.trouble:
        yield printable(context.trouble)
    if report.silent_s is None:
        yield "no log line yet"
    elif report.silent_s >= LOG_SILENCE_ALERT_S:
        yield f"no log line for {span(report.silent_s)}"
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


def _tables(
    report: ServiceReport, view: ScreenView, width: int, room: int, *, is_live: bool = True
) -> Iterable[RenderableType]:
    """Return the tables; tenants and sessions each get at least a quarter of the lines."""
    order = view.selection.order
    room = max(3, room - 4)  # the titles, and the number of rows
    tenants = report.tenants[: max(1, room // 4)]
    actors = report.actors[: room - len(tenants) - max(1, room // 4)]
    room -= len(actors) + len(tenants)
    cursor = min(view.cursor, max(0, len(report.sessions) - 1))
    first = max(0, cursor - room + 1)
    sessions = report.sessions[first : first + room]
    yield draw_table(ACTOR_COLUMNS, actors, width)
    yield draw_table(TENANT_COLUMNS, tenants, width, order)
    yield draw_table(SESSION_COLUMNS, sessions, width, order, cursor - first if is_live else None)
    yield _dim(_shown(report, len(sessions), len(tenants), view.selection.tenant))


def _shown(report: ServiceReport, sessions: int, tenants: int, tenant: str | None) -> str:
    of = f" of tenant {printable(tenant)}" if tenant else ""
    return (
        f"{sessions:,} of {report.session_count:,} sessions{of},"
        f" {tenants:,} of {report.tenant_count:,} tenants"
    )


def _footer(view: ScreenView) -> Text:
    if view.typed is None:
        return _dim(KEYS)
    return Text(f"tenant (none: all): {printable(view.typed)}_", style="bold", no_wrap=True)


def _followed(
    one: FollowedSession, update: Update | None, width: int, room: int
) -> list[RenderableType]:
    """Return the followed session in at most `room` lines, with its newest incidents."""
    lines: list[RenderableType] = [
        draw_table(SESSION_COLUMNS, [one.session], width),  # two lines
        Text(),
        *_score(update),
        Text(),
        *_messages(one.messages, room - _LINES_BESIDE_MESSAGES),
        _dim("incidents"),
    ]
    left = max(1, room - len(lines) - 1)
    incidents = [line for incident in one.incidents for line in _incident(incident, width)]
    return [*lines, *(incidents or [_dim("none since the first line read")])[-left:]]


def _score(update: Update | None) -> list[Text]:
    if update is None:
        return [_dim("score: no update received yet")]
    head = _line(f"score {update.score:.0%} {printable(update.category)}", "bold")
    head.append(f" at {update.at:%H:%M:%S} UTC", style="dim")
    return [head, *map(_line, signal_lines(update.signals, update.contributions))]


def _messages(messages: Sequence[TracedMessage], room: int) -> list[Text]:
    """Return the last messages that the session handled, at most `room` lines."""
    shown = messages[max(0, len(messages) - max(0, room)) :]
    return [_dim("last messages"), *map(_message, shown), Text()] if shown else []


def _message(one: TracedMessage) -> Text:
    summary = message_summary(one.kinds, one.score, has_failed=one.has_failed)
    head = f"{one.at:%H:%M:%S}  {printable(one.kind):{KIND_CELLS}} {duration(one.duration_s)}"
    return _line(f"{head}  {printable(summary)}")


def _incident(incident: Incident, width: int) -> Iterable[Text]:
    """Return an incident; a long cause is wrapped."""
    head = f"{incident.at:%H:%M:%S}  {printable(incident.event):{_EVENT_CELLS}} "
    causes = wrap(printable(incident.detail), max(20, width - len(head))) or [""]
    for first, cause in zip_longest([head], causes, fillvalue=" " * len(head)):
        yield _line((first + cause).rstrip())


def _dim(text: str) -> Text:
    return _line(text, "dim")


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
