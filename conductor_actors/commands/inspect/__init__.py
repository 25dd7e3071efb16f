"""`inspect` shows the actors of a running service, as `top` shows processes, from its log alone.

    log_sources ──▶ service_model, histories ──▶ report ──▶ rendering, tables ──▶ screen

`actors_command` is `inspect` itself: it reads lines and keys in a loop. `log_sources` reads log
lines from Redis, a file or a pipe. `service_model`, `rates` and `histories` compute the state of
the service from them, `report` is that state as a document (`--json`), `rendering` and `tables`
draw it, and `screen_view` holds what the user selected. `update_follower` and `trace_renewal` add
the score and the messages of the followed session.

`session_command` is `inspect session`: it requests a description or a trace of one session from the
service, and `session_text` prints it.
"""

from typing import Any, Final

import typer
from typer.core import TyperGroup

from conductor_actors.commands.inspect.actors_command import inspect
from conductor_actors.commands.inspect.session_command import session

__all__ = ["app"]

_DEFAULT: Final = "actors"


class DefaultCommandGroup(TyperGroup):
    """A group that runs its default command if the first argument names no command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - click's, vendored
        """Insert the default command if the arguments name none."""
        if not args or args[0] not in self.commands:
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)


app: Final = typer.Typer(cls=DefaultCommandGroup, rich_markup_mode=None)
app.command(_DEFAULT, short_help="Show the actors, live, from the log lines.")(inspect)
app.command("session", short_help="Describe one session, or trace it.")(session)
