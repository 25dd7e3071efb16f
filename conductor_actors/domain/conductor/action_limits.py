"""How often actions may be sent to one session. Source of the figures: the contract, section 7."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from conductor_actors.domain.conductor.interventions import ACTIONS, ActionType

COOLDOWNS_MS: Final[Mapping[ActionType, int]] = {
    "POLL": 120_000,
    "BROADCAST": 60_000,
    "NOTIFICATION": 300_000,
    "GAMIFICATION": 180_000,
}
MIN_DISTANCE_MS: Final = 30_000  # of any two
MAX_ACTIONS: Final = 10
ACTIONS_WITHIN_MS: Final = 300_000  # at least the longest cooldown


class SentAction(NamedTuple):
    """An action, and when it was sent; until that is known, when it was decided."""

    intervention_id: str
    type: ActionType
    at_ms: int


def refusal(sent: Sequence[SentAction], action: ActionType, at_ms: int) -> str | None:
    """Return which limit forbids an action now, or None if it is allowed."""
    recent = recently_sent(sent, at_ms)
    if any(at_ms - each.at_ms < MIN_DISTANCE_MS for each in recent):
        return f"another action less than {MIN_DISTANCE_MS // 1000} s ago"
    if len(recent) >= MAX_ACTIONS:
        return f"{MAX_ACTIONS} actions in {ACTIONS_WITHIN_MS // 60_000} minutes"
    cooldown_ms = COOLDOWNS_MS[action]
    if any(each.type == action and at_ms - each.at_ms < cooldown_ms for each in recent):
        return f"{action} less than {cooldown_ms // 1000} s ago"
    return None


def allowed_actions(sent: Sequence[SentAction], at_ms: int) -> tuple[ActionType, ...]:
    """Return the actions that no limit forbids now."""
    return tuple(action for action in ACTIONS if refusal(sent, action, at_ms) is None)


def recently_sent(sent: Sequence[SentAction], at_ms: int) -> tuple[SentAction, ...]:
    """Return the actions that can still forbid another one."""
    return tuple(each for each in sent if at_ms - each.at_ms < ACTIONS_WITHIN_MS)
