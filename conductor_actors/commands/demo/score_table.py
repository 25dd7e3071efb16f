"""The scoreboard as a table for a terminal of any size, and an update as a line of text."""

from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from conductor_actors.commands.demo.board import MEMORY, BoardLine, Scoreboard
from conductor_actors.commands.terminal import printable
from conductor_actors.updates import Update

_STEADY: Final = 0.02  # a change smaller than this is no trend
_BAR_CELLS: Final = 8
_SPARK_CELLS: Final = 12  # of 5 s
_SPARKS: Final = "▁▂▃▄▅▆▇█"
_SESSION_CELLS: Final = 16
_MAX_SESSION_CELLS: Final = 36
_GAP_CELLS: Final = 2
_LINES_AROUND: Final = 5  # the header, the titles, what is hidden, the footer, the cursor


class ScoreColumn(NamedTuple):
    """A column; the last in rank gives way first where the terminal is narrow."""

    title: str
    cells: int
    rank: int
    draw: Callable[[BoardLine], Text | str]
    justify: Literal["left", "right"] = "right"


def render(
    board: Scoreboard, width: int, height: int, footer: str = "Ctrl-C stops"
) -> RenderableType:
    """Draw the board for a terminal of that size."""
    lines = board.worst_first
    shown = lines[: max(1, height - _LINES_AROUND)]
    parts: list[RenderableType] = [_header(board, len(lines))]
    if shown:
        parts.append(_table(shown, width, with_tenant=board.has_tenants))
    if len(shown) < len(lines):
        parts.append(_dim(f"… and {len(lines) - len(shown)} more that do better"))
    return Group(*parts, _dim(footer))


def plain(update: Update) -> str:
    """Write an update as one line of text."""
    signals = update.signals
    return (
        f"{update.at:%Y-%m-%dT%H:%M:%SZ} {printable(update.tenant_id)}"
        f" {printable(update.session_id)} {update.score:.0%} {update.category}"
        f" chat/min={signals.chat_msgs_per_min:.0f} poll={signals.poll_participation:.0%}"
        f" active={signals.active_users}/{signals.total_users}"
        f" reactions/min={signals.reactions_per_min:.0f} leaving={signals.user_leave_rate:.0%}"
    )


def _header(board: Scoreboard, sessions: int) -> Text:
    header = Text(no_wrap=True, overflow="ellipsis").append("Engagement", style="bold")
    header.append(f" · {sessions} session{'' if sessions == 1 else 's'} · simulated events · ")
    if not board.is_connected:
        header.append("Redis is away, trying again", style="red")
    elif board.last_tick_at is None:
        header.append("waiting for the first scores")
    else:
        header.append(f"last tick {board.last_tick_at:%H:%M:%S} UTC")
    return header


def _table(lines: Sequence[BoardLine], width: int, *, with_tenant: bool) -> Table:
    columns = [column for column in _COLUMNS if with_tenant or column is not _TENANT]
    while _cells(columns) > width and len(columns) > 2:
        columns.remove(max(columns, key=lambda column: column.rank))
    table = Table(box=None, padding=(0, _GAP_CELLS, 0, 0), pad_edge=False, header_style="dim")
    spare = max(0, width - _cells(columns))
    for column in columns:
        cells = column.cells
        if column is _SESSION:
            cells = min(cells + spare, _MAX_SESSION_CELLS)
        table.add_column(
            column.title, width=cells, justify=column.justify, no_wrap=True, overflow="ellipsis"
        )
    for line in lines:
        table.add_row(*(column.draw(line) for column in columns))
    return table


def _cells(columns: Sequence[ScoreColumn]) -> int:
    return sum(column.cells + _GAP_CELLS for column in columns) - _GAP_CELLS


def _session(line: BoardLine) -> Text:
    return Text(printable(line.newest.session_id))


def _tenant(line: BoardLine) -> Text:
    return Text(printable(line.newest.tenant_id))


def _score(line: BoardLine) -> Text:
    score = line.newest.score
    full = round(score * _BAR_CELLS)
    text = Text("█" * full, style=_colour(score))
    text.append("░" * (_BAR_CELLS - full), style="dim")
    return text.append(f" {score:4.0%}", style="bold")


def _trend(line: BoardLine) -> Text:
    trend = line.trend
    if abs(trend) < _STEADY:
        return Text("→", style="dim")
    style = "green" if trend > 0 else "red"
    return Text(f"{'↑' if trend > 0 else '↓'} {100 * trend:+.0f}", style=style)


def _last_minute(line: BoardLine) -> Text:
    scores = [line.score_ago(MEMORY * ago / _SPARK_CELLS) for ago in range(_SPARK_CELLS)]
    sparks = (" " if score is None else _SPARKS[min(7, int(score * 8))] for score in scores)
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


def _leaving(line: BoardLine) -> str:
    return f"{line.newest.signals.user_leave_rate:.0%}"


def _colour(score: float) -> str:
    if score >= 0.7:
        return "green"
    if score >= 0.5:
        return "medium_purple1"
    return "dark_orange" if score >= 0.3 else "red"


def _dim(text: str) -> Text:
    return Text(text, style="dim", no_wrap=True, overflow="ellipsis")


_SESSION: Final = ScoreColumn("session", _SESSION_CELLS, 0, _session, "left")
_TENANT: Final = ScoreColumn("tenant", 10, 2, _tenant, "left")
_COLUMNS: Final = (
    _SESSION,
    _TENANT,
    ScoreColumn("score", _BAR_CELLS + 5, 1, _score, "left"),
    ScoreColumn("trend", 6, 3, _trend),
    ScoreColumn("last minute", _SPARK_CELLS, 8, _last_minute),
    ScoreColumn("category", 9, 4, _category, "left"),
    ScoreColumn("chat/min", 8, 5, _chat),
    ScoreColumn("poll", 4, 7, _poll),
    ScoreColumn("active", 9, 6, _active),
    ScoreColumn("reactions/min", 13, 9, _reactions),
    ScoreColumn("leaving", 7, 10, _leaving),
)
