"""What a replay of the streams of a service decides, and what the service has stored."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import chain
from typing import Any, Final, TypeAlias

import msgspec
import psycopg

from conductor_actors.actors.conductor import trial_of
from conductor_actors.adapters.recordings.stream_range import StreamRange
from conductor_actors.domain.conductor.interventions import Intervention
from conductor_actors.domain.replayer import Replayer, Rules
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.instants import to_datetime, to_ms
from conductor_actors.ports.conductor_port import PolicyTrial
from conductor_actors.settings import Settings
from conductor_actors.wire.intervention_bodies import decision_body
from conductor_actors.wire.updates import timestamp

PREFIX: Final = "CONDUCTOR_"
AGENT_ID: Final = "engagement-conductor"

Records: TypeAlias = dict[str, dict[str, Any]]  # by id
SUMS: Final = ("trials", "before", "after", "before_squared", "before_after", "after_squared")


def replay_streams(url: str, variables: Mapping[str, str]) -> list[ScoreRow]:
    """Return the rows of a replay with these environment variables."""
    rules, rows = settings_of(variables), list[ScoreRow]()
    with closing(StreamRange(url, rules.tenants, "-", "+")) as stream_range:
        replayer = Replayer(
            Rules(rules.intake_rules(), rules.session_rules(), rules.scoring()), rows.extend
        )
        summary = replayer.run(chain.from_iterable(stream_range.chunks()))
    assert summary.failed == 0
    return rows


def settings_of(variables: Mapping[str, str]) -> Settings:
    """Return the settings that these environment variables give."""
    values: dict[str, Any] = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in variables.items()
        if name.startswith(PREFIX)
    }
    return Settings(**values)


def newest_records(rows: Sequence[ScoreRow]) -> dict[str, tuple[ScoreRow, Intervention]]:
    """Return each intervention as it is at last, with the row of its last change, by id."""
    return {record.id: (row, record) for row in rows for record in row.interventions}


def measured_trials(rows: Sequence[ScoreRow]) -> dict[str, PolicyTrial]:
    """Return the trials that are measured in the rows, by id."""
    records = (record for row in rows for record in row.interventions)
    return {trial.id: trial for record in records if (trial := trial_of(record)) is not None}


def sums_of(trials: Sequence[PolicyTrial]) -> dict[str, int]:
    """Return the sums of trials as fields of `conductor:policy:sums`."""
    sums: dict[str, int] = {}
    for trial in trials:
        before, after = trial.before, trial.after
        parts = (1, before, after, before * before, before * after, after * after)
        for name, part in zip(SUMS, parts, strict=True):
            field = f"{trial.cell}:{name}"
            sums[field] = sums.get(field, 0) + part
    return sums


def expected_interventions(rows: Sequence[ScoreRow]) -> Records:
    """Return the interventions that must be stored after these rows."""
    return {
        one: {
            **msgspec.to_builtins(decision_body(row.session_id, record)),
            "tenant_id": row.tenant_id,
        }
        for one, (row, record) in newest_records(rows).items()
    }


def stored_interventions(url: str) -> Records:
    """Return the stored interventions, with the keys of their bodies."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT id::text, timestamp, tenant_id, session_id, event_id, type, status, confidence,"
            " reasoning, outcome, metadata FROM interventions"
        )
        names = [column.name for column in found.description or ()]
        records = [dict(zip(names, values, strict=True)) for values in found]
    return {
        each["id"]: each | {"timestamp": timestamp(to_ms(each["timestamp"]))} for each in records
    }


def expected_performance(rows: Sequence[ScoreRow]) -> Records:
    """Return the trials that must be stored after these rows."""
    found: Records = {}
    for row in rows:
        for record in row.interventions:
            outcome = record.outcome
            if record.is_learnt and outcome and outcome.after is not None:
                found[record.id] = {
                    "time": to_datetime(outcome.measured_ms),
                    "tenant_id": row.tenant_id,
                    "agent_id": AGENT_ID,
                    "intervention_type": record.type,
                    "success": outcome.success,
                    "engagement_delta": outcome.after - outcome.before,
                    "session_id": row.session_id,
                }
    return found


def stored_performance(url: str) -> Records:
    """Return the stored trials."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT id::text, time, tenant_id, agent_id, intervention_type, success,"
            " engagement_delta, session_id FROM agent_performance"
        )
        names = [column.name for column in found.description or ()]
        records = [dict(zip(names, values, strict=True)) for values in found]
    assert len({each["id"] for each in records}) == len(records)
    return {each.pop("id"): each for each in records}


def first_difference(expected: Records, stored: Records) -> str:
    """Return the first difference of two sets of records; empty if there is none."""
    for one in sorted(expected | stored):
        if expected.get(one) != stored.get(one):
            wanted, found = expected.get(one) or {}, stored.get(one) or {}
            keys = [key for key in wanted | found if wanted.get(key) != found.get(key)]
            pairs = [f"{key}: {found.get(key)} instead of {wanted.get(key)}" for key in keys]
            return f"{one}: " + "; ".join(pairs)
    return ""
