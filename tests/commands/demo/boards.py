"""Boards with messages, and how they are drawn."""

import io
import json
from typing import Any

from msgspec.structs import asdict
from rich.console import Console

from conductor_actors.commands.demo.board import Scoreboard
from conductor_actors.commands.demo.score_table import render_board
from conductor_actors.instants import to_iso
from conductor_actors.ports import UPDATES, PublishedMessage
from tests.support.score_rows import AT_MS, SIGNALS, row


def message(
    session: str = "keynote",
    score: float = 0.6,
    at_s: float = 0,
    tenant: str = "default",
    **more: Any,
) -> PublishedMessage:
    update = {
        "timestamp": to_iso(AT_MS + at_s * 1000, "milliseconds"),
        "tenantId": tenant,
        "sessionId": session,
        "eventId": "summit",
        "score": score,
        "category": "HIGH",
        "signals": asdict(SIGNALS),
        "contributions": asdict(row().contributions),
    }
    return PublishedMessage(tenant, UPDATES, json.dumps(update | more).encode())


def board_of(*messages: PublishedMessage) -> Scoreboard:
    board = Scoreboard()
    for one in messages:
        assert board.add(one) is not None
    return board


def draw(board: Scoreboard, width: int = 130, height: int = 40, *, colours: bool = False) -> str:
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=colours,
        color_system="256" if colours else None,
        legacy_windows=False,
    )
    with console.capture() as captured:
        console.print(render_board(board, width, height))
    return captured.get()


def line_of(board: Scoreboard, session: str, **how: Any) -> str:
    return next(line for line in draw(board, **how).splitlines() if session in line)
