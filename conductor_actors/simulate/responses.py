"""What the actions of the conductor change in a simulated session: effects that are known.

They are the same in every session, and chosen so that some actions help more than others.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple


class PlatformAction(NamedTuple):
    """An action that a platform is to carry out: its type, and the poll that it opens."""

    kind: str
    question: str = ""
    options: tuple[str, ...] = ()
    poll_s: float = 0


class Response(NamedTuple):
    """What people do more than they would without an action, in a session of any size.

    Rates are per minute.
    """

    length_s: float = 0
    chats: float = 0
    reactions: float = 0
    turnout: float = 0  # the share of those present who vote in the poll of the action
    repairs_after_s: float | None = None  # of a scene that the host can end


RESPONSES: Final[Mapping[str, Response]] = {
    # People vote as long as the poll is open, and talk about it.
    "POLL": Response(90, chats=20, turnout=0.7),
    # A question to everybody: a few answer.
    "BROADCAST": Response(60, chats=25),
    # The host looks what is wrong. That helps a lot if the sound fails, and else not at all.
    "NOTIFICATION": Response(repairs_after_s=10),
    # Everybody plays, hardly anybody talks.
    "GAMIFICATION": Response(120, chats=6, reactions=60),
}
