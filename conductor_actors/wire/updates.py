"""Published updates: the one definition of their JSON, for the publisher and every subscriber."""

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Final, Literal

import msgspec

from conductor_actors.domain.anomalies.changes import ExpectedScore
from conductor_actors.domain.conductor.interventions import AgentState, AgentStatus, Mode
from conductor_actors.domain.identity import Id
from conductor_actors.domain.scoring import Contributions, ScoreRow, Signals
from conductor_actors.instants import from_iso, to_iso, to_ms

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Category = Literal["VERY_HIGH", "HIGH", "MODERATE", "LOW", "VERY_LOW"]
Audience = Literal["unknown"]  # no user has joined: shares are of the users who were active
Timestamp = Annotated[
    str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$", max_length=24)
]


# The lowest and the highest score that the baseline of a session expects.
ExpectedRange = tuple[Share, Share]

# What decoding an invalid body raises; the errors of msgspec are ValueErrors.
INVALID_BODY: Final = (ValueError, RecursionError, OverflowError)


class UpdateAgent(msgspec.Struct, rename="camel", gc=False):
    """Mode and status of the conductor in a session; the open decision, if there is one."""

    mode: Mode
    status: AgentStatus
    decision_id: Id | msgspec.UnsetType = msgspec.UNSET


class Update(msgspec.Struct, rename="camel", gc=False):
    """`engagement:update`: one session's score at one tick.

    `expected` is absent while the session has no baseline. `agent` is absent while the conductor
    has its default mode and only watches.
    """

    timestamp: Timestamp
    tenant_id: str
    session_id: Id
    event_id: Id
    score: Share
    category: Category
    signals: Signals
    contributions: Contributions
    audience: Audience | msgspec.UnsetType = msgspec.UNSET
    expected: ExpectedRange | msgspec.UnsetType = msgspec.UNSET
    quiet_until: Timestamp | msgspec.UnsetType = msgspec.UNSET  # quiet was arranged until then
    chat_open: bool | msgspec.UnsetType = msgspec.UNSET  # false, if chat is closed
    agent: UpdateAgent | msgspec.UnsetType = msgspec.UNSET

    @property
    def at(self) -> datetime:
        """The tick."""
        return from_iso(self.timestamp)

    @property
    def at_ms(self) -> int:
        """The tick, in milliseconds since 1970."""
        return _ms_of(self.timestamp)


class _OthersUpdate(Update, kw_only=True):
    """An update that others may have published."""

    timestamp: str
    tenant_id: str = ""


class _CanonicalUpdate(Update, forbid_unknown_fields=True):
    """An update as the service publishes it, so that its body can be passed on."""


MAX_CANONICAL_BYTES: Final = 2048  # a longer one has spaces or long ids

_canonical_decoder: Final = msgspec.json.Decoder(_CanonicalUpdate)
_decoder: Final = msgspec.json.Decoder(Update)
_others_decoder: Final = msgspec.json.Decoder(_OthersUpdate)

encode_update: Final[Callable[[Update], bytes]] = msgspec.json.Encoder().encode
_encode_lines: Final = msgspec.json.Encoder().encode_lines


def encode_updates(rows: Iterable[ScoreRow]) -> list[bytes]:
    """Return the encoded updates of rows, in their order.

    To encode many at once costs less than one by one, and JSON has no line breaks.
    """
    lines: list[bytes] = _encode_lines(map(update_of, rows)).split(b"\n")
    lines.pop()  # the last line ends, too
    return lines


def update_of(row: ScoreRow) -> Update:
    """Return the update that is published for a row."""
    return Update(
        timestamp(row.at_ms),
        row.tenant_id,
        row.session_id,
        row.event_id,
        row.score,
        row.category,  # type: ignore[arg-type] # a row has no other
        row.signals,
        row.contributions,
        msgspec.UNSET if row.is_audience_known else "unknown",
        expected_range(row.expected),
        timestamp(row.quiet_until_ms) if row.quiet_until_ms else msgspec.UNSET,
        msgspec.UNSET if row.is_chat_open else False,
        msgspec.UNSET if row.agent is None else _update_agent(row.agent),
    )


def _update_agent(agent: AgentState) -> UpdateAgent:
    return UpdateAgent(agent.mode, agent.status, agent.decision_id or msgspec.UNSET)


def expected_range(expected: ExpectedScore | None) -> ExpectedRange | msgspec.UnsetType:
    """Return the range as updates have it; absent without a baseline."""
    return msgspec.UNSET if expected is None else (expected.low, expected.high)


def decode_update(tenant: str, body: bytes) -> Update | None:
    """Decode a published update; return None if it is invalid.

    Its tenant is the channel's, whatever the body says. Of updates that others publish any
    ISO 8601 time is read.
    """
    try:
        update = _decode(body)
    except INVALID_BODY:
        return None
    update.tenant_id = tenant
    return update


def receive_update(tenant: str, body: bytes) -> tuple[Update, bytes] | None:
    """Decode a published update; return it with the body to pass on, or None if it is invalid.

    That of the service itself, as most often, is passed on as it is.
    """
    try:
        update: Update = _canonical_decoder.decode(body)
        _ms_of(update.timestamp)
        if update.tenant_id == tenant and len(body) <= MAX_CANONICAL_BYTES:
            return update, body
    except INVALID_BODY:
        pass
    decoded = decode_update(tenant, body)
    return None if decoded is None else (decoded, encode_update(decoded))


def canonical_timestamp(text: str) -> str:
    """Return an ISO 8601 time as a `Timestamp`; raise one of `INVALID_BODY` if it is none."""
    return timestamp(to_ms(from_iso(text)))


def _decode(body: bytes) -> Update:
    try:
        update = _decoder.decode(body)
        _ms_of(update.timestamp)  # the pattern allows the 31st of February
    except msgspec.ValidationError:
        others = _others_decoder.decode(body)
        others.timestamp = canonical_timestamp(others.timestamp)
        return Update(**msgspec.structs.asdict(others))
    return update


@lru_cache(64)  # all updates of a tick have the same
def _ms_of(text: str) -> int:
    return to_ms(from_iso(text))


@lru_cache(64)  # all rows of a tick have the same
def timestamp(ms: int) -> str:
    """Write milliseconds since 1970 as a timestamp."""
    return to_iso(ms, "milliseconds")
