"""The rules by which the conductor decides, beside what it has learnt."""

from typing import Final

import msgspec

from conductor_actors.domain.conductor.interventions import Mode

SEND_WITHIN_MS: Final = 15_000  # of the tick that decided; later, the moment has passed
SUGGESTION_MS: Final = 1_800_000
OUTCOME_FROM_MS: Final = 30_000  # after the decision; the scores before then are not its
OUTCOME_UNTIL_MS: Final = 120_000
REPORT_WITHIN_MS: Final = 120_000  # of sending; a platform need not report
MIN_CONFIDENCE_TO_SUGGEST: Final = 0.5  # in SEMI_AUTO
MIN_CONFIDENCE_TO_ACT: Final = 0.75


class ConductRules(msgspec.Struct, frozen=True):
    """Whether there is a conductor, its mode unless one was set, and the salt of its draws."""

    is_enabled: bool = True
    mode: Mode = "SEMI_AUTO"
    salt: str = ""
