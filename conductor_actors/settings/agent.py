"""Settings of the conductor, which acts on anomalies."""

from pydantic import BaseModel, Field

from conductor_actors.domain.conductor.conduct_rules import ConductRules
from conductor_actors.domain.conductor.interventions import Mode


class AgentSettings(BaseModel):
    """Whether the conductor acts, and how much it may do alone."""

    interventions: bool = Field(
        default=True,
        description="Whether there is a conductor. `false` stops all that it decides, suggests and "
        "sends, in every session.",
    )
    agent_mode: Mode = Field(
        default="SEMI_AUTO",
        description="Mode of sessions for which none was set: `OFF`; `MANUAL` only suggests; "
        "`SEMI_AUTO` acts alone where it is confident, and else suggests; `AUTO` acts alone.",
    )
    decision_salt: str = Field(
        default="",
        max_length=255,
        description="Text that the random choices depend on, so that nobody else can predict them. "
        "With another one, a replay decides otherwise.",
    )

    def conduct_rules(self) -> ConductRules:
        """Return the rules of the conductor."""
        return ConductRules(self.interventions, self.agent_mode, self.decision_salt)
