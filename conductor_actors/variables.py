"""How an environment variable is described, and what kinds of numbers there are."""

from typing import Annotated, Any

from pydantic import Field

Weight = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
PerMinute = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Port = Annotated[int, Field(ge=0, le=65535)]
PerSecond = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Many = Annotated[int, Field(ge=0)]


def variable(name: str, default: Any, example: str, description: str, **bounds: Any) -> Any:  # noqa: ANN401
    """Describe one environment variable."""
    return Field(
        default,
        validation_alias=name,
        examples=[example],
        description=description,
        **bounds,
    )
