"""What the user selected on the screen: an immutable value, and its change after each key."""

from dataclasses import dataclass, replace
from typing import Any, Final

from conductor_actors.commands.inspect.report import Selection, ServiceReport, SortOrder
from conductor_actors.domain.identity import SessionKey

ORDER_KEYS: Final[dict[str, SortOrder]] = {
    "d": "depth",
    "r": "rate",
    "h": "handling",
    "o": "oldest",
    "n": "name",
}
MAX_TENANT_CHARS: Final = 63


@dataclass(frozen=True, slots=True)
class ScreenView:
    """The selection, the session under the cursor, and the followed session.

    `typed` is the part of a tenant's name that was typed; None while none is being typed.
    """

    selection: Selection = Selection()  # noqa: RUF009 - immutable
    cursor: int = 0
    followed: SessionKey | None = None
    typed: str | None = None
    is_over: bool = False

    def after(self, key: str, report: ServiceReport) -> "ScreenView":
        """Return the view after a key was pressed while the screen showed this report."""
        change = self._change(key, report) if self.typed is None else _edit_tenant(self.typed, key)
        if "selection" in change:
            selection = self.selection._replace(**change["selection"])
            change |= {"selection": selection, "cursor": 0}
        return replace(self, **change)

    def _change(self, key: str, report: ServiceReport) -> dict[str, Any]:
        match key:
            case "q":
                return {"is_over": True}
            case "t":
                return {"typed": ""}
            case "up" | "k" | "down" | "j":
                step = -1 if key in ("up", "k") else 1
                return {"cursor": max(0, self._cursor(report) + step)}
            case "f" | "enter" | "escape":
                return {"followed": None if key == "escape" else self._session(report)}
            case _:
                return {"selection": {"order": ORDER_KEYS[key]}} if key in ORDER_KEYS else {}

    def _cursor(self, report: ServiceReport) -> int:
        """Return the row of the cursor; there may be fewer rows since it was moved."""
        return min(self.cursor, max(0, len(report.sessions) - 1))

    def _session(self, report: ServiceReport) -> SessionKey | None:
        """Return the session under the cursor; None if one is followed already."""
        if self.followed is not None or not report.sessions:
            return None
        session = report.sessions[self._cursor(report)]
        return SessionKey(session.tenant, session.session)


def _edit_tenant(typed: str, key: str) -> dict[str, Any]:
    match key:
        case "enter":
            return {"typed": None, "selection": {"tenant": typed or None}}
        case "escape":
            return {"typed": None}
        case "backspace":
            return {"typed": typed[:-1]}
        case _:
            return {"typed": (typed + key)[:MAX_TENANT_CHARS]} if len(key) == 1 else {}
