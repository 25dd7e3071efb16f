"""The platform of a demo: it carries out actions in the simulated sessions, and answers."""

from typing import Any, Final, get_args

import msgspec
import redis

from conductor_actors.domain.conductor.interventions import ActionType
from conductor_actors.domain.identity import SessionKey, prefixed
from conductor_actors.instants import to_iso
from conductor_actors.simulate.producer import REPORTED
from conductor_actors.simulate.responses import PlatformAction
from conductor_actors.simulate.simulation import Simulation
from conductor_actors.wire.intervention_messages import ACTIONS_CHANNEL

_KIND: Final = "agent.intervention."  # before the type, in lower case
_REPORTED_ENTRIES: Final = 10_000


class _PollBody(msgspec.Struct):
    question: str
    options: list[str]
    duration: float


class _ActionBody(msgspec.Struct):
    type: str
    intervention_id: str
    session_id: str
    event_id: str
    poll: _PollBody | None = None


_decode: Final = msgspec.json.Decoder(_ActionBody).decode


class SimulatedPlatform:
    """Carries out what is published to the tenants of a simulation.

    Each call may raise an error of Redis; then the next one subscribes again.
    """

    def __init__(self, client: redis.Redis, simulation: Simulation, prefix: str = "") -> None:
        self._client = client
        self._simulation = simulation
        self._prefix = prefix
        self._channels = {
            (prefix + prefixed(tenant, ACTIONS_CHANNEL)).encode(): tenant
            for tenant in simulation.tenants
        }
        self._subscription: redis.client.PubSub | None = None

    def carry_out_actions(self, at_s: float) -> None:
        """Carry out the actions that were published since the last call, and answer each."""
        try:
            for message in iter(self._read, None):
                if message["type"] == "message":
                    self._carry_out(self._channels[message["channel"]], message["data"], at_s)
        except (redis.ConnectionError, redis.TimeoutError):
            self.close()
            raise

    def close(self) -> None:
        """Unsubscribe."""
        if self._subscription is not None:
            self._subscription.close()
        self._subscription = None

    def _read(self) -> dict[str, Any] | None:
        if self._subscription is None:
            self._subscription = self._client.pubsub()  # type: ignore[no-untyped-call]
            self._subscription.subscribe(*self._channels)
        found: dict[str, Any] | None = self._subscription.get_message(timeout=0)
        return found

    def _carry_out(self, tenant: str, body: bytes, at_s: float) -> None:
        try:
            message = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return  # it has no id to answer with
        error = self._error(tenant, message, at_s)
        outcome = {
            "success": error is None,
            "intervention_id": message.intervention_id,
            "session_id": message.session_id,
            "event_id": message.event_id,
            "timestamp": to_iso(at_s * 1000, "milliseconds"),
            **({"result": "carried out"} if error is None else {"error": error}),
        }
        self._client.xadd(
            self._prefix + prefixed(tenant, REPORTED),
            {"data": msgspec.json.encode(outcome)},
            maxlen=_REPORTED_ENTRIES,
            approximate=True,
        )

    def _error(self, tenant: str, message: _ActionBody, at_s: float) -> str | None:
        """Carry out an action; return why not, if it can't be."""
        kind = message.type.removeprefix(_KIND).upper()
        if kind not in get_args(ActionType):
            return f"{message.type} is unknown"
        action = PlatformAction(kind)
        if message.poll is not None:
            poll = message.poll
            action = PlatformAction(kind, poll.question, tuple(poll.options), poll.duration)
        key = SessionKey(tenant, message.session_id)
        is_known = self._simulation.carry_out(key, action, at_s)
        return None if is_known else "there is no such session"
