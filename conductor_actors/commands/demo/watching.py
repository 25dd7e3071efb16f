"""The loop of the scoreboard: read updates and show them."""

import threading
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.live import Live

from conductor_actors.adapters.redis.update_reader import RedisUpdateReader
from conductor_actors.commands.demo.board import Scoreboard
from conductor_actors.commands.demo.score_table import plain, render
from conductor_actors.domain.identity import EVERY_TENANT
from conductor_actors.errors import Unavailable
from conductor_actors.updates import Update

_REFRESH_S: Final = 0.25
_RECONNECT_S: Final = 0.5


def run(
    reader: RedisUpdateReader, console: Console, stop: threading.Event, footer: str = "Ctrl-C stops"
) -> None:
    """Show updates until `stop`: a live table, or lines of text where there is no terminal.

    While Redis is away the table says so, and stays.
    """
    board = Scoreboard()
    reader.select(EVERY_TENANT)
    news = _news(reader, board, stop)
    if not console.is_terminal:
        for updates in news:
            for update in updates:
                console.out(plain(update), highlight=False)
        return
    with Live(console=console, auto_refresh=False) as live:
        for _ in news:
            picture = render(board, console.width, console.height, footer)
            live.update(picture, refresh=True)


def _news(
    reader: RedisUpdateReader, board: Scoreboard, stop: threading.Event
) -> Iterator[Sequence[Update]]:
    """Yield the new updates several times a second, even if there are none."""
    while not stop.is_set():
        updates: Sequence[Update] = ()
        try:
            messages = reader.read(_REFRESH_S)
            updates = [new for message in messages if (new := board.add(message))]
            board.is_connected = True
        except Unavailable:
            board.is_connected = False
            stop.wait(_RECONNECT_S)
        yield updates
