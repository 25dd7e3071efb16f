"""Titles in memory."""

from collections.abc import Sequence

from msgspec import UNSET

from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.session_titles import SessionDetails, TitleChange
from conductor_actors.ports.catalog_port import RefusedTitle, TitlePage


class MemoryTitleTable:
    """Store the newest details by session, and the newest titles by event.

    While `outage` is set, it is raised by every write. Changes of `refused` sessions are refused.
    """

    def __init__(self) -> None:
        self.changes: dict[SessionKey, TitleChange] = {}
        self.event_titles: dict[tuple[str, str | None], str | None] = {}
        self.refused: set[str] = set()
        self.outage: Exception | None = None

    @property
    def titles(self) -> dict[str, str | None]:
        return {key.session_id: change.details.title for key, change in self.changes.items()}

    def details(self, session_id: str, tenant_id: str = "default") -> SessionDetails:
        return self.changes[SessionKey(tenant_id, session_id)].details

    def write(self, changes: Sequence[TitleChange]) -> Sequence[RefusedTitle]:
        if self.outage is not None:
            raise self.outage
        refused = []
        for change in changes:
            if change.session_id in self.refused:
                refused.append(RefusedTitle(change, "no database can store this"))
            elif change.key not in self.changes or self.changes[change.key].at_ms <= change.at_ms:
                self.changes[change.key] = change
            if change.details.event_title is not UNSET:
                event = change.tenant_id, change.details.event_id
                self.event_titles[event] = change.details.event_title
        return refused

    def close(self) -> None:
        pass


class MemoryTitleOutbox:
    """Store changes in `changes`, by id. While `outage` is set, it is raised by every call."""

    def __init__(self) -> None:
        self.changes: dict[str, TitleChange] = {}
        self.outage: Exception | None = None
        self._appended = 0

    def append(self, changes: Sequence[TitleChange]) -> None:
        self._check()
        for change in changes:
            self._appended += 1
            self.changes[f"{self._appended}-0"] = change

    def read_oldest(self, count: int) -> TitlePage:
        self._check()
        ids = list(self.changes)[:count]
        return TitlePage([self.changes[each] for each in ids], ids)

    def delete(self, page: TitlePage) -> None:
        self._check()
        for each in page.ids:
            self.changes.pop(each, None)

    def close(self) -> None:
        pass

    def _check(self) -> None:
        if self.outage is not None:
            raise self.outage
