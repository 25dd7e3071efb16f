"""A collector decides, sends and learns as a replay of the same entries, also from a checkpoint."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final

import msgspec
import pytest
from structlog.testing import capture_logs

from conductor_actors.actors.conductor import trial_of
from conductor_actors.domain.checkpoints.encoding import recover
from conductor_actors.domain.conductor.interventions import Intervention
from conductor_actors.domain.conductor.policy import CellSums, Policy
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.identity import prefixed
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.ports import Checkpoint, ReadResult
from tests.app.answered_entries import approved, learnt, replayed_rows, with_answers
from tests.app.collector_run import TICK_MS, CollectorRun, make_settings, pack
from tests.app.test_anomalies import KeptCheckpoints
from tests.support.event_samples import POLICY, SENT
from tests.support.fakes.memory_actions import MemoryActionSender
from tests.support.fakes.memory_checkpoints import MemoryCheckpoints
from tests.support.fakes.memory_policy import MemoryPolicyStore
from tests.support.fakes.memory_store import MemoryStore
from tests.support.fakes.scripted_source import Step
from tests.support.recorded_talk import Talk
from tests.support.score_rows import AT_MS
from tests.support.waiting import wait_until

TALKS: Final = {"default": Talk(sessions=4, minutes=22), "acme": Talk(sessions=1, minutes=14)}
SETTINGS: Final[dict[str, Any]] = {
    "agent_mode": "AUTO",
    "session_timeout_s": 240,
    "presence_timeout_s": 240,
}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with capture_logs():
        yield


@cache
def entries() -> list[Entry]:
    events = [
        (AT_MS + round(at_s * 1000), number, prefixed(tenant, name), body.encode())
        for tenant, talk in TALKS.items()
        for number, (at_s, name, body) in enumerate(talk.events())
    ]
    return with_answers(sorted(events), **SETTINGS)


@cache
def replayed() -> list[ScoreRow]:
    return replayed_rows(entries(), **SETTINGS)


class Platform:
    """What outlives a collector: what was sent, and what was learnt."""

    def __init__(self) -> None:
        self.actions = MemoryActionSender()
        self.policies = MemoryPolicyStore()

    def wait_for_causes(self, part: Sequence[Entry]) -> None:
        """Wait for what has led to these entries: nothing is an entry before it is done."""
        for _, _, name, body in part:
            if name.endswith(SENT):
                identity = msgspec.json.decode(body)["interventionId"]
                wait_until(lambda one=identity: one in self.sent_ids())  # type: ignore[misc]
            elif name.endswith(POLICY):
                tenant = name.removesuffix(POLICY).rstrip(":") or "default"
                cells = msgspec.json.decode(body, type=Policy).cells
                wait_until(lambda one=tenant, sums=cells: self._knows(one, sums))  # type: ignore[misc]

    def sent_ids(self) -> list[str]:
        return [action.record.id for action in self.actions.sent]

    def _knows(self, tenant: str, cells: dict[str, CellSums]) -> bool:
        known = self.policies.policies.get(tenant, Policy()).cells
        return all(
            known.get(name, CellSums()).trials >= sums.trials for name, sums in cells.items()
        )


def run(platform: Platform, store: MemoryStore, checkpoints: MemoryCheckpoints) -> CollectorRun:
    """Return a collector that reads every 5 s, so that every tick is live."""
    last_ms = entries()[-1][0]
    script: list[Step] = []
    for begin_ms in range(AT_MS, last_ms - last_ms % TICK_MS + TICK_MS, TICK_MS):
        end_ms = begin_ms + TICK_MS
        part = [entry for entry in entries() if begin_ms <= entry[0] < end_ms]

        def read(part: Sequence[Entry] = part, end_ms: int = end_ms) -> ReadResult:
            platform.wait_for_causes(part)
            return ReadResult(part, end_ms, end_ms)

        script.append(read)
    return CollectorRun(
        script,
        store,
        checkpoints,
        platform.actions,
        platform.policies,
        checkpoint_s=0.001,
        **SETTINGS,
    )


def has_open_trial(checkpoint: Checkpoint) -> bool:
    rules = make_settings(**SETTINGS).session_rules()
    states = recover(checkpoint.header, checkpoint.sessions, rules).states.values()
    return any(state.conduct and state.conduct.measurements for state in states)


def final_records(rows: Sequence[ScoreRow]) -> dict[str, Intervention]:
    return {record.id: record for row in rows for record in row.interventions}


def assert_done_once(platform: Platform) -> None:
    """Check that each action was sent once, and that each trial was learnt once."""
    assert Counter(platform.sent_ids()).keys() >= sent_in_entries()
    assert max(Counter(platform.sent_ids()).values()) == 1
    assert set(platform.sent_ids()) <= {record.id for _, record in approved(replayed())}
    expected = MemoryPolicyStore()
    for row, record in learnt(replayed()):
        trial = trial_of(record)
        assert trial is not None
        expected.add_trials(row.tenant_id, [trial])
    assert platform.policies.policies.keys() == expected.policies.keys()
    for tenant, policy in expected.policies.items():
        assert platform.policies.policies[tenant].cells == policy.cells


@cache
def sent_in_entries() -> set[str]:
    bodies = [body for _, _, name, body in entries() if name.endswith(SENT)]
    return {msgspec.json.decode(body)["interventionId"] for body in bodies}


def test_interventions_of_a_replay_are_stored_sent_and_learnt_once_each() -> None:
    store, platform = MemoryStore(), Platform()
    run(platform, store, MemoryCheckpoints()).run_to_end()
    assert pack(store.rows.values()) == pack(replayed())
    assert_done_once(platform)
    records = final_records(replayed()).values()
    statuses = Counter(record.status for record in records)
    assert statuses["COMPLETED"] > len(records) / 2
    steps = Counter(step for record in records for step in record.steps)
    assert steps.keys() >= {"HELD", "APPROVED", "SENT", "EXECUTED", "FAILED", "EXPIRED"}


def test_from_a_checkpoint_in_the_middle_of_a_trial_the_same_interventions_follow() -> None:
    platform, checkpoints = Platform(), KeptCheckpoints()
    run(platform, MemoryStore(), checkpoints).run_to_end()
    resumable = [each for each in checkpoints.kept if has_open_trial(each)]
    assert resumable
    for checkpoint in resumable[:: max(1, len(resumable) // 5)]:
        store, resumed = MemoryStore(), MemoryCheckpoints()
        resumed.commit(checkpoint)
        run(platform, store, resumed).run_to_end()
        first_ms = min(row.at_ms for row in store.rows.values())
        later = [row for row in replayed() if row.at_ms >= first_ms]
        assert pack(store.rows.values()) == pack(later)
        assert len(later) < len(replayed())
        assert_done_once(platform)


def test_what_a_tenant_has_learnt_changes_its_later_decisions_and_no_others() -> None:
    versions: dict[str, list[int]] = {tenant: [] for tenant in TALKS}
    for row in replayed():
        for record in row.interventions:
            if record.choice and record.at_ms == row.at_ms:
                versions[row.tenant_id].append(record.choice.policy_version)
    learnt_of = Counter(row.tenant_id for row, _ in learnt(replayed()))
    for tenant, seen in versions.items():
        assert seen == sorted(seen)
        assert seen[0] == 0
        assert 0 < seen[-1] <= learnt_of[tenant]
    assert versions["default"][-1] > learnt_of["acme"]
    choices = [record.choice for record in final_records(replayed()).values() if record.choice]
    assert len({choice.probabilities["HOLD"] for choice in choices}) > 1
