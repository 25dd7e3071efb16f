"""What became of an intervention: the courier sent it, and the platform carried it out or failed.

Source of the names and bodies: the contract, section 7.
"""

from typing import Final

import msgspec

from conductor_actors.domain.conductor.requests import InterventionReported, InterventionSent
from conductor_actors.domain.identity import Id

MAX_REPORTED_ERROR_CHARS: Final = 500

_NO_ERROR: Final = msgspec.Raw(b"null")


class _Sent(msgspec.Struct, rename="camel", gc=False):
    session_id: Id
    intervention_id: Id
    refused: str | None = None


class _Reported(msgspec.Struct, gc=False):
    success: bool
    intervention_id: Id
    session_id: Id
    error: msgspec.Raw = _NO_ERROR


_sent: Final = msgspec.json.Decoder(_Sent).decode
_reported: Final = msgspec.json.Decoder(_Reported).decode


def decode_sent(body: bytes, at_ms: int) -> tuple[str, InterventionSent]:
    """Read `conductor:sent`."""
    sent = _sent(body)
    return sent.session_id, InterventionSent(at_ms, sent.intervention_id, sent.refused)


def decode_reported(body: bytes, at_ms: int) -> tuple[str, InterventionReported]:
    """Read whether a platform carried out an intervention."""
    report = _reported(body)
    error = None if report.success or report.error == _NO_ERROR else _text(report.error)
    identity = report.intervention_id
    return report.session_id, InterventionReported(at_ms, identity, report.success, error)


def _text(raw: msgspec.Raw) -> str:
    """Return a text, or any other value as JSON, without what no text column can hold."""
    value = msgspec.json.decode(raw)
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text.replace("\0", "")[:MAX_REPORTED_ERROR_CHARS]
