"""The changes of titles that a decoder reads: no session is scored by them.

Apart from `intake`, which is compiled: a compiled function that returns another is no faster.
"""

from conductor_actors.domain.events import Decoded, Decoder
from conductor_actors.domain.session_titles import TitleChange, decode_session_info


class TitleCollector:
    """The changes since the last `pop`, in order."""

    def __init__(self) -> None:
        self._changes: list[TitleChange] = []

    def decoder(self, tenant: str) -> Decoder:
        """Return the decoder of a tenant's titles, which collects them."""

        def decode_title(body: bytes, at_ms: int) -> Decoded:
            session_id, details = decode_session_info(body)
            self._changes.append(TitleChange(tenant, session_id, at_ms, details))
            return None

        return decode_title

    def pop(self) -> list[TitleChange]:
        """Remove and return the changes."""
        changes, self._changes = self._changes, []
        return changes
