"""How much of everything is counted: enough for its fixed costs to be small."""

from typing import Final

SESSIONS: Final = 500
FEW_SESSIONS: Final = 250
EVENTS: Final = 10 * SESSIONS  # in a round
HOT_EVENTS: Final = 10_000
UPDATES: Final = 500
