"""The scoreboard drawn as a table for a terminal of any size.

Open anomalies are below it, and what the conductor did last.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from conductor_actors.commands.demo.board import MEMORY, BoardLine, Scoreboard
from conductor_actors.commands.demo.decision_news import DecisionNews, describe
from conductor_actors.commands.demo.news_lines import duration, title
from conductor_actors.commands.terminal import printable
from conductor_actors.instants import from_iso
from conductor_actors.wire.anomaly_messages import Anomaly

_MIN_TREND: Final = 0.02  # smaller changes are shown as steady
_BAR_CELLS: Final = 8
_SPARKLINE_CELLS: Final = 12  # of 5 s each
_SPARK_CHARS: Final = "▁▂▃▄▅▆▇█"
_MIN_SESSION_CELLS: Final = 16
_MAX_SESSION_CELLS: Final = 36
_GAP_CELLS: Final = 2
_MAX_ANOMALIES: Final = 3  # below the table
_OTHER_LINES: Final = 5  # header, titles, count of hidden sessions, footer, cursor


class ScoreColumn(NamedTuple):
    """A column. On a narrow terminal the column with the highest rank is dropped first."""

    title: str
    cells: int
    rank: int
    draw: Callable[[BoardLine], Text | str]
    justify: Literal["left", "right"] = "right"


def render_board(
    board: Scoreboard, width: int, height: int, footer: str = "Ctrl-C to stop"
) -> RenderableType:
    """Draw the board for a terminal of this size."""
    lines = board.worst_first
    anomalies = [line.anomaly for line in lines if line.anomaly][:_MAX_ANOMALIES]
    visible = lines[: max(1, height - _OTHER_LINES - len(anomalies) - len(board.decisions))]
    parts: list[RenderableType] = [_header(board, len(lines))]
    if visible:
        parts.append(_table(visible, width, with_tenant=board.has_tenants))
    if hidden := len(lines) - len(visible):
        parts.append(_dim(f"… and {hidden} more with higher scores"))
    parts += [_anomaly(one, board.last_tick_at) for one in anomalies]
    parts += [_decision(one) for one in board.decisions]
    return Group(*parts, _dim(footer))


def _header(board: Scoreboard, sessions: int) -> Text:
    header = Text(no_wrap=True, overflow="ellipsis").append("Engagement", style="bold")
    header.append(f" · {sessions} session{'' if sessions == 1 else 's'} · simulated events · ")
    if not board.is_connected:
        header.append("Redis is away, reconnecting", style="red")
    elif board.last_tick_at is None:
        header.append("waiting for the first scores")
    else:
        header.append(f"last tick {board.last_tick_at:%H:%M:%S} UTC")
    return header


def _anomaly(anomaly: Anomaly, now: datetime | None) -> Text:
    text = Text("▼ ", style="red", no_wrap=True, overflow="ellipsis")
    text.append(printable(anomaly.session_id), style="bold")
    text.append(f": {title(anomaly)}")
    begun = from_iso(anomaly.onset if isinstance(anomaly.onset, str) else anomaly.timestamp)
    if now is not None:
        text.append(f" for {duration((now - begun).total_seconds())}")
    if isinstance(anomaly.reason, str):
        text.append(f". {printable(anomaly.reason)}", style="default")
    return text


def _decision(news: DecisionNews) -> Text:
    text = Text("● ", style="medium_purple1", no_wrap=True, overflow="ellipsis")
    text.append(f"{from_iso(news.timestamp):%H:%M:%S} ", style="dim")
    text.append(printable(news.session_id), style="bold")
    return text.append(f": {printable(describe(news))}", style="default")


def _table(lines: Sequence[BoardLine], width: int, *, with_tenant: bool) -> Table:
    columns = [column for column in _COLUMNS if with_tenant or column is not _TENANT_COLUMN]
    while _cells(columns) > width and len(columns) > 2:
        columns.remove(max(columns, key=lambda column: column.rank))
    table = Table(box=None, padding=(0, _GAP_CELLS, 0, 0), pad_edge=False, header_style="dim")
    spare_cells = max(0, width - _cells(columns))
    for column in columns:
        cells = column.cells
        if column is _SESSION_COLUMN:
            cells = min(cells + spare_cells, _MAX_SESSION_CELLS)
        table.add_column(
            column.title, width=cells, justify=column.justify, no_wrap=True, overflow="ellipsis"
        )
    for line in lines:
        table.add_row(*(column.draw(line) for column in columns))
    return table


def _cells(columns: Sequence[ScoreColumn]) -> int:
    return sum(column.cells + _GAP_CELLS for column in columns) - _GAP_CELLS


def _session(line: BoardLine) -> Text:
    name = printable(line.newest.session_id)
    return Text(f"▼ {name}", style="red") if line.anomaly else Text(name)


def _tenant(line: BoardLine) -> Text:
    return Text(printable(line.newest.tenant_id))


def _score(line: BoardLine) -> Text:
    score = line.newest.score
    filled = round(score * _BAR_CELLS)
    text = Text("█" * filled, style=_colour(score))
    text.append("░" * (_BAR_CELLS - filled), style="dim")
    return text.append(f" {score:4.0%}", style="bold")


def _trend(line: BoardLine) -> Text:
    trend = line.trend
    if abs(trend) < _MIN_TREND:
        return Text("→", style="dim")
    style = "green" if trend > 0 else "red"
    return Text(f"{'↑' if trend > 0 else '↓'} {100 * trend:+.0f}", style=style)


def _last_minute(line: BoardLine) -> Text:
    scores = [line.score_ago(MEMORY * ago / _SPARKLINE_CELLS) for ago in range(_SPARKLINE_CELLS)]
    sparks = (" " if score is None else _SPARK_CHARS[min(7, int(score * 8))] for score in scores)
    return Text("".join(sparks)[::-1], style=_colour(line.newest.score))


def _category(line: BoardLine) -> Text:
    return Text(printable(line.newest.category))


def _chat(line: BoardLine) -> str:
    return f"{line.newest.signals.chat_msgs_per_min:.0f}"


def _poll(line: BoardLine) -> str:
    return f"{line.newest.signals.poll_participation:.0%}"


def _active(line: BoardLine) -> str:
    return f"{line.newest.signals.active_users}/{line.newest.signals.total_users}"


def _reactions(line: BoardLine) -> str:
    return f"{line.newest.signals.reactions_per_min:.0f}"


def _leave_rate(line: BoardLine) -> str:
    return f"{line.newest.signals.user_leave_rate:.0%}"


def _colour(score: float) -> str:
    if score >= 0.7:
        return "green"
    if score >= 0.5:
        return "medium_purple1"
    return "dark_orange" if score >= 0.3 else "red"


def _dim(text: str) -> Text:
    return Text(text, style="dim", no_wrap=True, overflow="ellipsis")


_SESSION_COLUMN: Final = ScoreColumn("session", _MIN_SESSION_CELLS, 0, _session, "left")
_TENANT_COLUMN: Final = ScoreColumn("tenant", 10, 2, _tenant, "left")
_COLUMNS: Final = (
    _SESSION_COLUMN,
    _TENANT_COLUMN,
    ScoreColumn("score", _BAR_CELLS + 5, 1, _score, "left"),
    ScoreColumn("trend", 6, 3, _trend),
    ScoreColumn("last minute", _SPARKLINE_CELLS, 8, _last_minute),
    ScoreColumn("category", 9, 4, _category, "left"),
    ScoreColumn("chat/min", 8, 5, _chat),
    ScoreColumn("poll", 4, 7, _poll),
    ScoreColumn("active", 9, 6, _active),
    ScoreColumn("reactions/min", 13, 9, _reactions),
    ScoreColumn("leave rate", 10, 10, _leave_rate),
)
