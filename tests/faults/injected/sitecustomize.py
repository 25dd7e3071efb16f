"""Faults from within: Python imports this first of all when this folder is on its path.

`CONDUCTOR_TEST_FAULTS` names those that are wanted, with a comma between them. The program is
otherwise the real one, started as the real one is.
"""

import datetime as dt
import importlib
import os
import threading
import time
from typing import Any

HOUR_S = 3600.0
STEP_S = 3.0
POISON = "poison"


def set_wall_clock_back_and_forth() -> None:
    """Set this process' wall clock an hour forth, back and right again, every three seconds."""
    began_s, right, right_ns = time.monotonic(), time.time, time.time_ns
    importlib.import_module("conductor_actors.cli")  # some check that they get the real class

    def ahead_s() -> float:
        steps = int((time.monotonic() - began_s) / STEP_S)
        return (0.0, HOUR_S, -HOUR_S)[steps % 3]

    class Clock(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> "Clock":
            return cls.fromtimestamp(time.time(), tz)

    time.time = lambda: right() + ahead_s()
    time.time_ns = lambda: right_ns() + int(ahead_s() * 1e9)
    dt.datetime = Clock  # type: ignore[misc]


def fail_on_poison() -> None:
    """Let a session fail when a poll called `poison` is closed."""
    from conductor_actors.domain.draft import Draft  # noqa: PLC0415
    from conductor_actors.domain.events import PollClosed  # noqa: PLC0415

    sound: Any = Draft._close

    def close(draft: Draft, closed: PollClosed) -> None:
        if closed.poll_id == POISON:
            raise ArithmeticError(POISON)
        sound(draft, closed)

    Draft._close = close  # type: ignore[method-assign, assignment]


def hang_ticker() -> None:
    """Let the Ticker hang for good at its fifth tick."""
    from conductor_actors.actors.ticker import TickerActor  # noqa: PLC0415

    sound: Any = TickerActor._broadcast
    ticks: list[None] = []

    def broadcast(ticker: TickerActor, *arguments: Any) -> None:
        ticks.append(None)
        while len(ticks) > 4:
            time.sleep(1)
        sound(ticker, *arguments)

    TickerActor._broadcast = broadcast  # type: ignore[method-assign, assignment]


def hang_sessions() -> None:
    """Let the sessions whose ids begin with `hang` hang for good at their first tick."""
    from conductor_actors.actors.messages import Tick  # noqa: PLC0415
    from conductor_actors.actors.session import SessionActor  # noqa: PLC0415

    sound: Any = SessionActor.on_receive

    def on_receive(session: SessionActor, message: Any) -> None:
        if isinstance(message, Tick) and session._key.session_id.startswith("hang"):
            threading.Event().wait()
        sound(session, message)

    SessionActor.on_receive = on_receive  # type: ignore[method-assign, assignment]


FAULTS = {
    "sessions": hang_sessions,
    "wall_clock": set_wall_clock_back_and_forth,
    "poison": fail_on_poison,
    "ticker": hang_ticker,
}

for wanted in filter(None, os.environ.get("CONDUCTOR_TEST_FAULTS", "").split(",")):
    FAULTS[wanted]()
