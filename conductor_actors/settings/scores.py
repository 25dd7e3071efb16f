"""Settings of ticks, sessions and the formula of the score."""

from typing import Self

from pydantic import BaseModel, Field, field_validator, model_validator

from conductor_actors.domain.scoring import Scoring
from conductor_actors.ports.report_port import ReportRules
from conductor_actors.settings.types import Weight


class ScoreSettings(BaseModel):
    """When sessions are scored, and how."""

    tick_s: int = Field(
        default=5, gt=0, le=86400, description="Whole seconds between ticks; divides a day."
    )
    window_s: int = Field(
        default=60, gt=0, le=3600, description="Length of the window in whole seconds."
    )
    session_timeout_s: int = Field(
        default=1800,
        gt=0,
        le=30 * 86400,
        description="Seconds without an event after which a session has no more rows. At least "
        "the window.",
    )
    presence_timeout_s: int = Field(
        default=21_600,
        gt=0,
        le=30 * 86400,
        description="Seconds without an event after which a session with connected users is "
        "forgotten. The session timeout, if that is longer.",
    )
    weight_chat: Weight = Field(default=0.30, description="Largest contribution of chat.")
    weight_poll: Weight = Field(default=0.25, description="Largest contribution of poll votes.")
    weight_active_users: Weight = Field(
        default=0.25, description="Largest contribution of active users."
    )
    weight_reactions: Weight = Field(default=0.10, description="Largest contribution of reactions.")
    weight_leave_rate: Weight = Field(
        default=0.10, description="Largest deduction for users who leave."
    )
    max_chat_per_min: float = Field(
        default=20.0,
        gt=0,
        le=1e6,
        description="Chat messages per minute for the full contribution of chat.",
    )
    max_reactions_per_min: float = Field(
        default=10.0,
        gt=0,
        le=1e6,
        description="Reactions per minute for the full contribution of reactions.",
    )

    @field_validator("tick_s")
    @classmethod
    def _check_tick(cls, tick_s: int) -> int:
        if 86400 % tick_s:
            raise ValueError("must divide a day, so that ticks are at the same times every day")
        return tick_s

    @model_validator(mode="after")
    def _check_timeout(self) -> Self:
        if self.session_timeout_s < self.window_s:
            raise ValueError(
                "CONDUCTOR_SESSION_TIMEOUT_S: must be at least CONDUCTOR_WINDOW_S, e.g. "
                "CONDUCTOR_SESSION_TIMEOUT_S=1800"
            )
        return self

    def scoring(self) -> Scoring:
        """Return the weights and maxima of the formula."""
        return Scoring(
            self.weight_chat,
            self.weight_poll,
            self.weight_active_users,
            self.weight_reactions,
            self.weight_leave_rate,
            self.max_chat_per_min,
            self.max_reactions_per_min,
        )

    def report_rules(self) -> ReportRules:
        """Return what is needed to interpret rows that were scored with these settings."""
        return ReportRules(self.scoring(), self.tick_s, self.window_s)
