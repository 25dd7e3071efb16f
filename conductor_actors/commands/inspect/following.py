"""One session, closely: its figures, its score and what adds to it, what became of it."""

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from textwrap import wrap
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from conductor_actors.commands.inspect.report import Followed, Incident, TracedMessage
from conductor_actors.commands.inspect.tables import SESSIONS, table
from conductor_actors.commands.inspect.updates import FollowedScore
from conductor_actors.commands.terminal import duration, printable, share

_EVENT_CELLS: Final = 20
_SIGNAL_CELLS: Final = 14
_KIND_CELLS: Final = 12
_LINES_OF_OTHERS: Final = 15


def followed(
    one: Followed, update: FollowedScore | None, width: int, room: int
) -> list[RenderableType]:
    """Draw a session in so many lines: the newest of what became of it."""
    lines: list[RenderableType] = [
        table(SESSIONS, [one.session], width),  # two lines
        Text(),
        *_score(update),
        Text(),
        *_messages(one.messages, room - _LINES_OF_OTHERS),
        _line("what became of it", "dim"),
    ]
    left = max(1, room - len(lines) - 1)
    told = [line for incident in one.incidents for line in _incident(incident, width)]
    if not told:
        told = [_line("nothing that was told in the lines read", "dim")]
    return [*lines, *told[-left:]]


def _score(update: FollowedScore | None) -> list[Text]:
    if update is None:
        return [_line("score: none was announced yet", "dim")]
    signals, added = update.signals, update.contributions
    head = _line(f"score {update.score:.0%} {printable(update.category)}", "bold")
    head.append(f" at {update.timestamp:%H:%M:%S} UTC", style="dim")
    users = f"{signals.active_users:,}/{signals.total_users:,} users"
    rows = (
        ("chat", f"{signals.chat_msgs_per_min:.0f}/min", added.chat),
        ("poll", share(signals.poll_participation), added.poll),
        ("active", users, added.active_users),
        ("reactions", f"{signals.reactions_per_min:.0f}/min", added.reactions),
        ("leaving", share(signals.user_leave_rate), added.leave_rate),
    )
    return [
        head,
        *(
            _line(f"{name:{_SIGNAL_CELLS}}{measured:>{_SIGNAL_CELLS}}  {worth:+8.1%}")
            for name, measured, worth in rows
        ),
    ]


def _messages(messages: Sequence[TracedMessage], room: int) -> list[Text]:
    """Draw what it handled last, if that is known and there is room."""
    shown = messages[max(0, len(messages) - max(0, room)) :]
    if not shown:
        return []
    drawn = [_line("its last messages", "dim")]
    for one in shown:
        about = ", ".join(f"{count:,} {kind}" for kind, count in one.kinds.items())
        if one.score is not None:
            about = f"score {share(one.score)}"
        if one.has_failed:
            about += " failed"
        head = f"{one.at:%H:%M:%S}  {printable(one.kind):{_KIND_CELLS}} {duration(one.duration_s)}"
        drawn.append(_line(f"{head}  {printable(about)}"))
    return [*drawn, Text()]


def _incident(incident: Incident, width: int) -> Iterable[Text]:
    """Write what happened, and below it as many lines as its cause needs."""
    head = f"{incident.at:%H:%M:%S}  {printable(incident.event):{_EVENT_CELLS}} "
    causes = wrap(printable(incident.detail), max(20, width - len(head))) or [""]
    for first, cause in zip_longest([head], causes, fillvalue=" " * len(head)):
        yield _line((first + cause).rstrip())


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
