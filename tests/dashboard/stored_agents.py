"""Stored interventions and trials, for tests of what reads them."""

import json
from typing import Any

import msgspec
import psycopg

from conductor_actors.domain.conductor.interventions import Intervention
from conductor_actors.instants import to_datetime
from conductor_actors.wire.intervention_bodies import metadata_body, outcome_body


def store_interventions(
    url: str, *records: Intervention, session_id: str = "session", tenant_id: str = "default"
) -> None:
    """Store interventions as the collector does; a newer version replaces the one before."""
    with psycopg.connect(url, autocommit=True) as connection:
        for record in records:
            outcome = None if record.outcome is None else _json(outcome_body(record.outcome))
            connection.execute(
                "INSERT INTO interventions VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
                " ON CONFLICT (id, timestamp) DO UPDATE SET status = excluded.status,"
                " outcome = excluded.outcome, metadata = excluded.metadata",
                (
                    *(record.id, to_datetime(record.at_ms), tenant_id, session_id),
                    *(record.event_id, record.type, record.status, record.confidence),
                    *(record.reasoning, outcome, _json(metadata_body(record))),
                ),
            )


def store_trial(url: str, record: Intervention, tenant_id: str, session_id: str = "s") -> None:
    """Store a measured trial as the collector does."""
    choice, outcome = record.choice, record.outcome
    assert choice is not None
    assert outcome is not None
    metadata: dict[str, Any] = {
        "event_id": record.event_id,
        "origin": record.origin,
        "anomaly_type": choice.anomaly_type,
        "probability": choice.probabilities[record.type],
        "probabilities": choice.probabilities,
        "before": outcome.before,
        "after": outcome.after,
        "reward": outcome.reward,
        "policy_version": choice.policy_version,
    }
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO agent_performance VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                *(record.id, to_datetime(outcome.measured_ms), tenant_id, "engagement-conductor"),
                *(record.type, outcome.success, 0.1, record.confidence, session_id),
                json.dumps(metadata),
            ),
        )


def _json(body: msgspec.Struct) -> str:
    return msgspec.json.encode(body).decode()
