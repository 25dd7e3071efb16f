"""`inspect` shows actors as `top` shows processes, from the log of a service alone.

    log_sources ──▶ model, histories ──▶ report ──▶ rendering, or one JSON document

`model` folds log lines, `report` is the document made of it, `rendering` and `tables` draw it,
`view` holds what the user selects with keys, and `command` is the loop around them.
`session_introspection` is `inspect session`, which requests a description or a trace of one
session from the service.
"""

from typing import Any, Final

import typer
from typer.core import TyperGroup

from conductor_actors.commands.inspect.command import inspect
from conductor_actors.commands.inspect.session_introspection import session

__all__ = ["app"]

_DEFAULT: Final = "actors"


class DefaultCommandGroup(TyperGroup):
    """A group that runs its default command if the first argument names no command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - click's, vendored
        """Insert the default command where none is named."""
        if not args or args[0] not in self.commands:
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)


app: Final = typer.Typer(cls=DefaultCommandGroup, rich_markup_mode=None)
app.command(_DEFAULT, short_help="Show the actors, live, from the log lines.")(inspect)
app.command("session", short_help="Describe one session, or trace it.")(session)
