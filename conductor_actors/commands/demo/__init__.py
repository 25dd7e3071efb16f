"""What the demo shows on the terminal: a line per session, the worst first, from its updates.

`board` keeps what is to be shown, `drawing` draws it, `watching` listens and shows it.
"""

from conductor_actors.commands.demo.board import Scoreboard
from conductor_actors.commands.demo.score_table import render
from conductor_actors.commands.demo.watching import run

__all__ = ["Scoreboard", "render", "run"]
