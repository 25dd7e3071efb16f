"""How soon the detector can notice that a session has gone silent."""

from typing import Final

from conductor_actors.domain.scoring import Signals

MIN_NOTICEABLE_PER_MIN: Final = 10.0  # of chat messages and reactions; below, nothing is known
EVENTS_MISSED: Final = 9.0  # so many that should have come are one false alarm in 7,200 ticks


def noticeable_s(signals: Signals) -> float | None:
    """Return after how many seconds of silence it is news, at the session's rate of events.

    That is 9 x 60 / rate, where the rate is that of chat messages and reactions a minute. None
    below 10 a minute: within a minute, such a silence can't be told from chance.
    """
    per_min = signals.chat_msgs_per_min + signals.reactions_per_min
    return EVENTS_MISSED * 60.0 / per_min if per_min >= MIN_NOTICEABLE_PER_MIN else None
