"""What an experiment saw, and which promises did not hold."""

from dataclasses import dataclass, field
from typing import TypeAlias

Figure: TypeAlias = str | int | float


@dataclass
class Report:
    """Filled by one experiment. Nothing stops it at the first broken promise.

    Times may be exceeded `patience` times, where others use the machine, too.
    """

    patience: float = 1.0
    seen: dict[str, Figure] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def saw(self, **figures: Figure) -> None:
        """Note figures; those of the same name are overwritten."""
        self.seen |= figures

    def must(self, holds: bool, promise: str) -> None:
        """Note a promise that did not hold."""
        if not holds:
            self.broken.append(promise)

    def within(self, name: str, took_s: float, at_most_s: float) -> None:
        """Note how long something took, and that it was not in time."""
        self.saw(**{f"{name}_s": round(took_s, 2)})
        self.must(
            took_s <= at_most_s * self.patience,
            f"{name} took {took_s:.2f} s, at most {at_most_s:g} s",
        )
