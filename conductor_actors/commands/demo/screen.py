"""The scores on the terminal: a table that follows the updates, or a line for each update."""

import threading
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.live import Live

from conductor_actors.adapters.redis.updates.update_reader import RedisUpdateReader
from conductor_actors.commands.demo.board import Scoreboard
from conductor_actors.commands.demo.score_table import format_update, render_board
from conductor_actors.domain.identity import EVERY_TENANT
from conductor_actors.errors import Unavailable
from conductor_actors.updates import Update

_REFRESH_INTERVAL_S: Final = 0.25
_RECONNECT_INTERVAL_S: Final = 0.5


def show_updates(
    reader: RedisUpdateReader,
    console: Console,
    stop: threading.Event,
    footer: str = "Ctrl-C to stop",
) -> None:
    """Show the updates of all tenants until `stop`.

    Without a terminal, and on one that is dumb, they are lines of text.

    While Redis is away, the table keeps the last scores and says so.
    """
    board = Scoreboard()
    reader.select(EVERY_TENANT)
    batches = _read_updates(reader, board, stop)
    if not console.is_terminal or console.is_dumb_terminal:
        for updates in batches:
            for update in updates:
                console.out(format_update(update), highlight=False)
        return
    with Live(console=console, auto_refresh=False) as live:
        for _ in batches:
            table = render_board(board, console.width, console.height, footer)
            live.update(table, refresh=True)


def _read_updates(
    reader: RedisUpdateReader, board: Scoreboard, stop: threading.Event
) -> Iterator[Sequence[Update]]:
    """Add updates to the board and yield the new ones, several times a second even if none."""
    while not stop.is_set():
        updates: Sequence[Update] = ()
        try:
            messages = reader.read(_REFRESH_INTERVAL_S)
            updates = [new for message in messages if (new := board.add(message))]
            board.is_connected = True
        except Unavailable:
            board.is_connected = False
            stop.wait(_RECONNECT_INTERVAL_S)
        yield updates
