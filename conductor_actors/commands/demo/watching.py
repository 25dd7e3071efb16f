"""The loop of the scoreboard: listen for updates and show them."""

import threading
from collections.abc import Iterator, Sequence
from typing import Final

import redis
from redis.client import PubSub
from rich.console import Console
from rich.live import Live

from conductor_actors.commands.demo.board import BoardUpdate, Scoreboard
from conductor_actors.commands.demo.score_table import plain, render

UPDATES: Final = "engagement:update"

_REFRESH_S: Final = 0.25
_RECONNECT_S: Final = 0.5


def run(
    client: redis.Redis, console: Console, stop: threading.Event, footer: str = "Ctrl-C stops"
) -> None:
    """Show updates until `stop`: a live table, or lines of text where there is no terminal.

    While Redis is away the table says so, and stays.
    """
    board = Scoreboard()
    with PubSub(client.connection_pool, ignore_subscribe_messages=True) as pubsub:
        news = _news(pubsub, board, stop)
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
    pubsub: PubSub, board: Scoreboard, stop: threading.Event
) -> Iterator[Sequence[BoardUpdate]]:
    """Give what is new, be it nothing, several times a second."""
    while not stop.is_set():
        updates: Sequence[BoardUpdate] = ()
        try:
            if not pubsub.subscribed:
                pubsub.psubscribe(UPDATES, f"*:{UPDATES}")
            updates = _listen(pubsub, board)
            board.is_connected = True
        except (redis.ConnectionError, redis.TimeoutError):
            board.is_connected = False
            stop.wait(_RECONNECT_S)
        yield updates


def _listen(pubsub: PubSub, board: Scoreboard) -> Sequence[BoardUpdate]:
    updates = []
    message = pubsub.get_message(timeout=_REFRESH_S)
    while message:
        update = board.update(message["data"])
        if update:
            updates.append(update)
        message = pubsub.get_message(timeout=0)
    return updates
