"""Stored interventions and trials, for tests that care about few of their values."""

import json
from uuid import UUID

import psycopg

from conductor_actors.instants import to_datetime
from conductor_actors.ports.conductor_port import StoredIntervention, StoredTrial
from tests.support.score_rows import AT_MS


def stored_intervention(
    number: int = 1, at_ms: int = AT_MS, **changes: object
) -> StoredIntervention:
    """Return an intervention with the number as its id."""
    usual = StoredIntervention(
        str(UUID(int=number)),
        at_ms,
        *("default", "session", "event", "BROADCAST", "SENT"),
        0.8,
        "2 events in 9 s, 14 were expected.",
        None,
        {"origin": "act"},
    )
    return usual._replace(**changes)  # type: ignore[arg-type] # the tests' own


def stored_trial(number: int = 1, measured_ms: int = AT_MS, **changes: object) -> StoredTrial:
    """Return a trial with the number as its id."""
    usual = StoredTrial(
        str(UUID(int=number)),
        measured_ms,
        *("session", "event", "BROADCAST", "act", "SUDDEN_DROP"),
        {"HOLD": 400_000, "BROADCAST": 600_000},
        *(0.25, 0.5, 0.125),
    )
    return usual._replace(**changes)  # type: ignore[arg-type] # the tests' own


def store_interventions(url: str, *interventions: StoredIntervention) -> None:
    """Store interventions as they are."""
    values = [
        (
            one.id,
            to_datetime(one.at_ms),
            *one[2:9],
            None if one.outcome is None else json.dumps(one.outcome),
            json.dumps(one.metadata),
        )
        for one in interventions
    ]
    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO interventions VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)", values
        )


def store_trials(url: str, tenant_id: str, *trials: StoredTrial) -> None:
    """Store trials of a tenant, as they are."""
    values = []
    for one in trials:
        metadata = {
            "event_id": one.event_id,
            "origin": one.origin,
            "anomaly_type": one.anomaly_type,
            "probability": one.probabilities.get(one.type, 0),
            "probabilities": one.probabilities,
            "before": one.before,
            "after": one.after,
            "reward": one.reward,
            "policy_version": 3,
        }
        values.append(
            (
                one.id,
                to_datetime(one.measured_ms),
                tenant_id,
                "engagement-conductor",
                one.type,
                None if one.reward is None else one.reward > 0,
                one.after - one.before,
                0.8,
                one.session_id,
                json.dumps(metadata),
            )
        )
    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO agent_performance VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)", values
        )
