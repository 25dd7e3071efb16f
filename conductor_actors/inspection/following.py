"""One session, closely: its figures, its score and what adds to it, what became of it."""

from typing import Final

from rich.console import RenderableType
from rich.text import Text

from conductor_actors.inspection.report import Followed, Incident
from conductor_actors.inspection.tables import SESSIONS, table
from conductor_actors.inspection.updates import Update
from conductor_actors.inspection.words import printable, share

_EVENT_CELLS: Final = 20
_SIGNAL_CELLS: Final = 14


def followed(one: Followed, update: Update | None, width: int, room: int) -> list[RenderableType]:
    """Draw a session in so many lines: the newest of what became of it."""
    lines: list[RenderableType] = [
        table(SESSIONS, [one.session], width),  # two lines
        Text(),
        *_score(update),
        Text(),
        _line("what became of it", "dim"),
    ]
    left = max(1, room - len(lines) - 1)
    incidents = [*one.incidents][-left:]
    if not incidents:
        lines.append(_line("nothing that was told in the lines read", "dim"))
    return [*lines, *map(_incident, incidents)]


def _score(update: Update | None) -> list[Text]:
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


def _incident(incident: Incident) -> Text:
    event, detail = printable(incident.event), printable(incident.detail)
    return _line(f"{incident.at:%H:%M:%S}  {event:{_EVENT_CELLS}} {detail}")


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
