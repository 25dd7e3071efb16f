"""`inspect`: the actors as `top` shows processes, from nothing but the service's log lines.

`inspect session` requests a description or a trace of one session: `session_introspection`.

    source ──▶ model (a fold of lines) ──▶ report ──▶ a screen, or one JSON document

`sources` is where lines come from, `lines` what they may say, `model` and `histories` what is
known from them, `report` the document, `drawing` and `following` its picture, `view` and `keys`
what the person at the screen wants.
"""

from typing import Any, Final

import typer
from typer.core import TyperGroup

from conductor_actors.commands.inspect.command import inspect
from conductor_actors.commands.inspect.session_introspection import session

__all__ = ["app"]

_DEFAULT: Final = "actors"


class _WithDefault(TyperGroup):
    """A group in which what is no command is an argument of the first one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - click's, vendored
        """Name the command that was meant."""
        if not args or args[0] not in self.commands:
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)


app: Final = typer.Typer(cls=_WithDefault, rich_markup_mode=None)
app.command(_DEFAULT, short_help="Show the actors, live, from the log lines.")(inspect)
app.command("session", short_help="Describe one session, or trace it.")(session)
