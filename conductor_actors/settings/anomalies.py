"""Settings of the detector of anomalies."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field
from pydantic_settings import NoDecode

from conductor_actors.domain.anomalies.changes import AnomalyType
from conductor_actors.domain.anomalies.parameters import Parameters, Sensitivity, parameters_of
from conductor_actors.settings.types import split_at_commas

AnomalyTypes = Annotated[tuple[AnomalyType, ...], NoDecode, BeforeValidator(split_at_commas)]


class AnomalySettings(BaseModel):
    """Which anomalies are reported, and on how much evidence."""

    anomaly_sensitivity: Sensitivity = Field(
        default="normal",
        description="How soon a drop or a decline is reported: `low`, `normal` or `high`. Of "
        "sudden stops at 20 events a minute and more, half are reported within 24, 18 or 14 s, "
        "and there are 0.1, 0.4 or 1.9 false alarms of drops in 10 hours of sessions.",
    )
    anomaly_types_off: AnomalyTypes = Field(
        default=(),
        examples=["LOW_ENGAGEMENT"],
        description="Types that are never reported, separated by commas: `SUDDEN_DROP`, "
        "`GRADUAL_DECLINE`, `MASS_EXIT`, `LOW_ENGAGEMENT`.",
    )

    def anomaly_parameters(self) -> Parameters:
        """Return the parameters of the detector."""
        return parameters_of(self.anomaly_sensitivity, self.anomaly_types_off)
