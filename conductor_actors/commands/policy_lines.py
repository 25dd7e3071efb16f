"""The `policy` command: replay anomalies and outcomes into choices and effects."""

import sys
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Annotated

import msgspec

from conductor_actors.adapters.server_urls import without_password
from conductor_actors.app.startup import configure
from conductor_actors.commands.terminal import printable
from conductor_actors.domain.anomalies.changes import AnomalyType
from conductor_actors.domain.conductor.effects import Effect
from conductor_actors.domain.conductor.interventions import ACTIONS, ActionType, InterventionType
from conductor_actors.domain.conductor.policy_replay import PolicyReplay
from conductor_actors.domain.identity import DEFAULT_TENANT
from conductor_actors.errors import ConfigError

_Score = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class _AnomalyFields(msgspec.Struct, forbid_unknown_fields=True):
    id: _Id
    type: AnomalyType
    before: _Score
    tenant: str = DEFAULT_TENANT
    allowed: tuple[ActionType, ...] = ACTIONS


class _OutcomeFields(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    anomaly_id: _Id
    after: _Score


class _PolicyLine(msgspec.Struct, forbid_unknown_fields=True):
    """One of the two."""

    anomaly: _AnomalyFields | None = None
    outcome: _OutcomeFields | None = None


class _DecisionFields(msgspec.Struct, rename="camel"):
    anomaly_id: str
    tenant: str
    policy_version: int
    probabilities: dict[InterventionType, int]
    draw: float
    choice: InterventionType


class _DecisionLine(msgspec.Struct):
    decision: _DecisionFields


class _EffectLine(msgspec.Struct):
    tenant: str
    effect: Effect


def replay_policy(name: str) -> None:
    """Print the decisions and effects that follow from the lines of a file; `-` is stdin.

    Raise `ConfigError` if it can't be read, with the number of the line that is wrong.
    """
    replay = PolicyReplay(configure(sys.stderr).conduct_rules().salt)
    encode = msgspec.json.Encoder().encode
    with suppress(BrokenPipeError):  # it is no error if the reader of stdout closes it early
        for line in _output(replay, name):
            print(encode(line).decode())  # noqa: T201
        sys.stdout.flush()


def _output(replay: PolicyReplay, name: str) -> Iterator[_DecisionLine | _EffectLine]:
    decoder = msgspec.json.Decoder(_PolicyLine)
    for number, text in _lines(name):
        try:
            decision = _replay_line(replay, decoder.decode(text))
        except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            raise ConfigError(
                f"{without_password(name)}, line {number}: {printable(str(error))}"
            ) from None
        if decision is not None:
            yield decision
    for tenant, effects in replay.effects().items():
        for effect in effects:
            yield _EffectLine(tenant, effect)


def _replay_line(replay: PolicyReplay, line: _PolicyLine) -> _DecisionLine | None:
    match line:
        case _PolicyLine(anomaly=_AnomalyFields() as anomaly, outcome=None):
            return _decision(replay, anomaly)
        case _PolicyLine(anomaly=None, outcome=_OutcomeFields() as outcome):
            replay.learn(outcome.anomaly_id, outcome.after)
            return None
        case _:
            raise ValueError('one of "anomaly" and "outcome" is expected')


def _decision(replay: PolicyReplay, anomaly: _AnomalyFields) -> _DecisionLine:
    kind, choice = replay.choose(
        anomaly.id, anomaly.type, anomaly.tenant, anomaly.before, anomaly.allowed
    )
    return _DecisionLine(
        _DecisionFields(
            anomaly.id,
            anomaly.tenant,
            choice.policy_version,
            choice.probabilities,
            choice.draw,
            kind,
        )
    )


def _lines(name: str) -> Iterator[tuple[int, bytes]]:
    """Return the lines with their numbers, without empty ones."""
    try:
        with nullcontext(sys.stdin.buffer) if name == "-" else Path(name).open("rb") as file:
            for number, text in enumerate(file, 1):
                if text.strip():
                    yield number, text
    except OSError as error:
        raise ConfigError(f"{without_password(name)}: {error.strerror}") from None
