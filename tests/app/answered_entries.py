"""Events, and the entries by which Redis and a platform answer what the conductor does about them.

A recording of a service has both: what was sent is an entry, and so is each version of the policy.
Here they follow from replays, which are repeated until one adds no answer.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from conductor_actors.actors.conductor import trial_of
from conductor_actors.domain.conductor.interventions import Intervention
from conductor_actors.domain.conductor.policy import Policy
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.identity import prefixed
from conductor_actors.domain.replayer import Replayer, Rules
from conductor_actors.domain.scoring import ScoreRow
from tests.app.collector_run import make_settings
from tests.support.event_samples import POLICY, REPORTS_STREAM, SENT
from tests.support.fakes.memory_policy import MemoryPolicyStore

SENT_AFTER_MS: Final = 300
REPORTED_AFTER_MS: Final = 1300  # after it was approved
LEARNT_AFTER_MS: Final = 700
UNSENT: Final = 5  # one of so many actions is not sent
FAILED: Final = 4  # one of so many is not carried out
MAX_REPLAYS: Final = 100


def with_answers(entries: Sequence[Entry], **variables: float) -> list[Entry]:
    """Return the entries and the answers to them, in order."""
    answers: list[Entry] = []
    for _ in range(MAX_REPLAYS):
        answered = sorted([*entries, *answers])
        following = [*_answers(replayed_rows(answered, **variables))]
        if following == answers:
            return answered
        answers = following
    raise AssertionError(f"{MAX_REPLAYS} replays still add answers")


def replayed_rows(entries: Sequence[Entry], **variables: float) -> list[ScoreRow]:
    """Return the rows of a replay."""
    rules, rows = make_settings(**variables), list[ScoreRow]()
    rules_of_rows = Rules(rules.intake_rules(), rules.session_rules(), rules.scoring())
    assert Replayer(rules_of_rows, rows.extend).run(entries).failed == 0
    return rows


def approved(rows: Sequence[ScoreRow]) -> list[tuple[ScoreRow, Intervention]]:
    """Return the actions that are approved, each with the row of that tick."""
    return [
        (row, record)
        for row in rows
        for record in row.interventions
        if record.steps.get("APPROVED") == row.at_ms
    ]


def learnt(rows: Sequence[ScoreRow]) -> list[tuple[ScoreRow, Intervention]]:
    """Return the trials that are measured, each with the row of that tick."""
    return [
        (row, record)
        for row in rows
        for record in row.interventions
        if record.is_learnt and record.outcome and record.outcome.measured_ms == row.at_ms
    ]


def _answers(rows: Sequence[ScoreRow]) -> Iterator[Entry]:
    for number, (row, record) in enumerate(approved(rows), 1):
        if number % UNSENT:
            yield _sent(row, record, number)
            yield _report(row, record, number)
    yield from _policies(rows)


def _sent(row: ScoreRow, record: Intervention, number: int) -> Entry:
    body = {"interventionId": record.id, "sessionId": row.session_id, "refused": None}
    return _entry(row, SENT_AFTER_MS, number, SENT, body)


def _report(row: ScoreRow, record: Intervention, number: int) -> Entry:
    is_success = bool(number % FAILED)
    body: dict[str, object] = {
        "success": is_success,
        "intervention_id": record.id,
        "session_id": row.session_id,
        "event_id": row.event_id,
        "timestamp": "2026-01-04T12:00:00.000Z",
    }
    body |= {"result": "shown"} if is_success else {"error": "nobody is in the room"}
    return _entry(row, REPORTED_AFTER_MS, number, REPORTS_STREAM, body)


def _policies(rows: Sequence[ScoreRow]) -> Iterator[Entry]:
    store = MemoryPolicyStore()
    for number, (row, record) in enumerate(learnt(rows)):
        trial = trial_of(record)
        assert trial is not None
        store.add_trials(row.tenant_id, [trial])
        policy: Policy = store.policies[row.tenant_id]
        body = {"version": policy.version, "cells": policy.cells}
        yield _entry(row, LEARNT_AFTER_MS, number, POLICY, body)


def _entry(row: ScoreRow, after_ms: int, number: int, name: str, body: object) -> Entry:
    encoded = msgspec.json.encode(body)
    return row.at_ms + after_ms, number, prefixed(row.tenant_id, name), encoded
