"""The scores on the terminal: a table that follows the updates, or a line for each update."""

import threading
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.live import Live

from conductor_actors.adapters.redis.updates.update_reader import RedisUpdateReader
from conductor_actors.commands.demo.board import News, Scoreboard
from conductor_actors.commands.demo.news_lines import format_news
from conductor_actors.commands.demo.score_table import render_board
from conductor_actors.errors import Unavailable
from conductor_actors.ports import ANOMALIES, ANOMALIES_ENDED, UPDATES

_REFRESH_INTERVAL_S: Final = 0.25
_RECONNECT_INTERVAL_S: Final = 0.5


def show_updates(
    reader: RedisUpdateReader,
    console: Console,
    stop: threading.Event,
    footer: str = "Ctrl-C to stop",
) -> None:
    """Show the updates and anomalies of all tenants, and what is decided, until `stop`.

    Without a terminal, and on one that is dumb, they are lines of text.

    While Redis is away, the table keeps the last scores and says so.
    """
    board = Scoreboard()
    reader.select_all(UPDATES, ANOMALIES, ANOMALIES_ENDED)
    batches = _read_news(reader, board, stop)
    if not console.is_terminal or console.is_dumb_terminal:
        for batch in batches:
            for news in batch:
                console.out(format_news(news), highlight=False)
        return
    with Live(console=console, auto_refresh=False) as live:
        for _ in batches:
            table = render_board(board, console.width, console.height, footer)
            live.update(table, refresh=True)


def _read_news(
    reader: RedisUpdateReader, board: Scoreboard, stop: threading.Event
) -> Iterator[Sequence[News]]:
    """Add messages to the board and yield the new ones, several times a second even if none."""
    while not stop.is_set():
        batch: Sequence[News] = ()
        try:
            messages = reader.read(_REFRESH_INTERVAL_S)
            batch = [new for message in messages if (new := board.add(message))]
            board.is_connected = True
        except Unavailable:
            board.is_connected = False
            stop.wait(_RECONNECT_INTERVAL_S)
        yield batch
