"""The loop at the terminal: lines in, keys in, a picture out, several times a second."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from rich.console import Console, ConsoleDimensions
from rich.live import Live

from conductor_actors.commands.inspect.drawing import ScreenContext, render
from conductor_actors.commands.inspect.model import Model
from conductor_actors.commands.inspect.report import Report
from conductor_actors.commands.inspect.reporting import report
from conductor_actors.commands.inspect.session_introspection import TraceRenewal
from conductor_actors.commands.inspect.sources import Source
from conductor_actors.commands.inspect.updates import Updates
from conductor_actors.commands.inspect.view import View
from conductor_actors.commands.terminal import Keyboard

LOOK_EVERY_S: Final = 0.2

Now = Callable[[], datetime]


class Watch:
    """What is watched, and how. `step` takes what came; `picture` shows it."""

    def __init__(self, source: Source, updates: Updates, view: View, now: Now) -> None:
        self._source = source
        self._updates = updates
        self.now = now
        self._model = Model(view.followed)
        self.view = view
        self._updates.follow(view.followed)

    def step(self) -> bool:
        """Take what lines and updates came; tell whether there were any."""
        lines = self._source.read()
        for line in lines:
            self._model.take(line)
        return self._updates.read() or bool(lines)

    def press(self, key: str) -> None:
        """Do what a key asks for."""
        self.view = self.view.after(key, self.report())
        self._model.follow(self.view.followed)
        self._updates.follow(self.view.followed)

    def report(self) -> Report:
        """Say what is known now."""
        return report(self._model, self.now(), self.view.choice)

    def surroundings(self) -> ScreenContext:
        """Say what is known beside the lines."""
        source, updates = self._source, self._updates
        return ScreenContext(source.name, source.trouble, updates.newest, updates.is_possible)


def show(watch: Watch, trace: TraceRenewal, console: Console, keyboard: Keyboard) -> None:
    """Show it until somebody has seen enough."""
    shown: tuple[ConsoleDimensions, int] | None = None
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while not watch.view.is_over:
            trace.renew(watch.view.followed)
            has_news = watch.step()
            now = console.size, int(watch.now().timestamp())
            if has_news or now != shown:
                shown = now
                picture = render(
                    watch.report(), watch.view, watch.surroundings(), console.width, console.height
                )
                live.update(picture, refresh=True)
            for key in keyboard.read(LOOK_EVERY_S):
                watch.press(key)
                shown = None
