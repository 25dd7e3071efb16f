"""What the person at the screen has chosen: a value, and what each key makes of it."""

from dataclasses import dataclass, replace
from typing import Any, Final

from conductor_actors.commands.inspect.report import Report
from conductor_actors.commands.inspect.reporting import Choice, Order
from conductor_actors.domain.identity import SessionKey

ORDERS: Final[dict[str, Order]] = {
    "d": "depth",
    "r": "rate",
    "h": "handling",
    "o": "oldest",
    "n": "name",
}
LONGEST_NAME: Final = 63  # of a tenant


@dataclass(frozen=True, slots=True)
class View:
    """The order, the only tenant, the session under the cursor, the one that is followed.

    `typed` is the beginning of a tenant's name while somebody types it.
    """

    choice: Choice = Choice()  # noqa: RUF009 - immutable
    cursor: int = 0
    followed: SessionKey | None = None
    typed: str | None = None
    is_over: bool = False

    def after(self, key: str, report: Report) -> "View":
        """Give the view that a key asks for, pressed by who sees that report."""
        change = self._change(key, report) if self.typed is None else _typing(self.typed, key)
        if "choice" in change:
            change |= {"choice": self.choice._replace(**change["choice"]), "cursor": 0}
        return replace(self, **change)

    def _change(self, key: str, report: Report) -> dict[str, Any]:
        match key:
            case "q":
                return {"is_over": True}
            case "t":
                return {"typed": ""}
            case "up" | "k" | "down" | "j":
                step = -1 if key in ("up", "k") else 1
                return {"cursor": max(0, self._cursor(report) + step)}
            case "f" | "enter" | "escape":
                return {"followed": None if key == "escape" else self._chosen(report)}
            case _:
                return {"choice": {"order": ORDERS[key]}} if key in ORDERS else {}

    def _cursor(self, report: Report) -> int:
        """Give the row the cursor is on, though there may be fewer now."""
        return min(self.cursor, max(0, len(report.sessions) - 1))

    def _chosen(self, report: Report) -> SessionKey | None:
        """Give the session under the cursor; none where one is followed already."""
        if self.followed is not None or not report.sessions:
            return None
        session = report.sessions[self._cursor(report)]
        return SessionKey(session.tenant, session.session)


def _typing(typed: str, key: str) -> dict[str, Any]:
    match key:
        case "enter":
            return {"typed": None, "choice": {"tenant": typed or None}}
        case "escape":
            return {"typed": None}
        case "backspace":
            return {"typed": typed[:-1]}
        case _:
            return {"typed": (typed + key)[:LONGEST_NAME]} if len(key) == 1 else {}
