"""The expected rows: those of an undisturbed replay of the same streams."""

from collections.abc import Sequence
from typing import NamedTuple

from conductor_actors.instants import from_iso, to_ms
from tests.support.programs import Row


class Difference(NamedTuple):
    """How stored rows differ from the expected ones."""

    rows: int
    missing: int
    different: int
    duplicate: int
    unexpected: int
    first: str

    @property
    def is_none(self) -> bool:
        return not self.first

    @property
    def has_every_row(self) -> bool:
        return not (self.missing or self.duplicate or self.unexpected)


def at_ms(row: Row) -> int:
    """Return the time of a row's tick."""
    return to_ms(from_iso(row[0]))


def difference(expected: Sequence[Row], stored: Sequence[Row]) -> Difference:
    """Compare by key: time, tenant and session."""
    wanted, found = {row[:3]: row for row in expected}, {row[:3]: row for row in stored}
    missing = sorted(wanted.keys() - found.keys())
    unexpected = sorted(found.keys() - wanted.keys())
    different = sorted(key for key in wanted.keys() & found.keys() if wanted[key] != found[key])
    first = [f"missing {key}" for key in missing[:1]]
    first += [f"{found[key]} instead of {wanted[key]}" for key in different[:1]]
    first += [f"unexpected {key}" for key in unexpected[:1]]
    duplicate = len(stored) - len(found)
    counts = len(missing), len(different), duplicate, len(unexpected)
    return Difference(len(wanted), *counts, "; ".join(first) or ("duplicates" * bool(duplicate)))
