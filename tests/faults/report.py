"""What an experiment measured, and which promises did not hold."""

from dataclasses import dataclass, field
from typing import TypeAlias

Figure: TypeAlias = str | int | float


@dataclass
class Report:
    """The figures of one experiment, which goes on after a broken promise.

    Time limits are multiplied by `time_factor`, where other programs use the machine, too.
    """

    time_factor: float = 1.0
    seen: dict[str, Figure] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def record(self, **figures: Figure) -> None:
        """Add figures; those of the same name are overwritten."""
        self.seen |= figures

    def require(self, holds: bool, promise: str) -> None:
        """Add a promise to the broken ones if it does not hold."""
        if not holds:
            self.broken.append(promise)

    def within(self, name: str, took_s: float, at_most_s: float) -> None:
        """Record a duration, and require it to be within its limit."""
        self.record(**{f"{name}_s": round(took_s, 2)})
        self.require(
            took_s <= at_most_s * self.time_factor,
            f"{name} took {took_s:.2f} s, at most {at_most_s:g} s",
        )
