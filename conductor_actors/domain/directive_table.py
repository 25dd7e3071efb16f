"""The directives of all tenants, collected from the entries that a decoder reads.

Apart from `intake`, which is compiled: a compiled function that returns another is no faster.
"""

from collections.abc import Mapping

from conductor_actors.domain.conductor.directives import (
    DEFAULT_DIRECTIVES,
    EVERY_SESSION,
    Directive,
    Directives,
    DirectivesByTenant,
)
from conductor_actors.domain.events import DECODERS, OWN_NAMES, Decoded, Decoder


class DirectiveTable:
    """The directives of each tenant. `current` is replaced, never changed: ticks refer to it."""

    def __init__(self, current: Mapping[str, Directives]) -> None:
        self.current: DirectivesByTenant = current

    def decoder(self, tenant: str, name: str) -> Decoder:
        """Return the decoder of a name's events, which keeps the directives that it reads."""
        decode = DECODERS[name]
        if name not in OWN_NAMES:
            return decode

        def decode_event(body: bytes, at_ms: int) -> Decoded:
            decoded = decode(body, at_ms)
            if decoded is None or decoded[0] != EVERY_SESSION:
                return decoded
            if isinstance(decoded[1], Directive):
                before = self.current.get(tenant, DEFAULT_DIRECTIVES)
                self.current = {**self.current, tenant: before.after(decoded[1])}
            return None

        return decode_event
