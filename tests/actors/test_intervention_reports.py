"""The log lines of decisions and outcomes."""

import pytest
from structlog.typing import EventDict

from conductor_actors.actors.intervention_reports import report_interventions
from conductor_actors.domain.conductor.interventions import Intervention
from tests.support.interventions import (
    CENSORED,
    INTERVENTION_ID,
    MEASURED,
    MEASURED_MS,
    intervention,
)
from tests.support.score_rows import AT_MS, row

LATER_MS = AT_MS + 10_000


def reported(
    lines: list[EventDict], *interventions: Intervention, at_ms: int = AT_MS
) -> list[EventDict]:
    report_interventions(row("keynote", at_ms, tenant_id="acme", interventions=interventions))
    return [
        {key: value for key, value in line.items() if key not in ("log_level", "actor")}
        for line in lines
    ]


def test_a_decision_is_reported_with_its_probability(log_lines: list[EventDict]) -> None:
    assert reported(log_lines, intervention()) == [
        {
            "event": "decision_made",
            "tenant": "acme",
            "session": "keynote",
            "id": INTERVENTION_ID,
            "type": "BROADCAST",
            "origin": "act",
            "tick_at_ms": AT_MS,
            "confidence": 0.8,
            "probability": 0.6,
            "policy_version": 3,
            "reason": "2 events in 9 s, 14 were expected.",
        }
    ]


def test_a_manual_action_over_a_limit_is_decided_and_expires(log_lines: list[EventDict]) -> None:
    manual = intervention(
        choice=None, origin="manual", status="EXPIRED", steps={"EXPIRED": AT_MS}, note="a limit"
    )
    decided, moved = reported(log_lines, manual)
    assert (decided["origin"], decided["probability"], decided["policy_version"]) == (
        "manual",
        0,
        0,
    )
    assert (moved["event"], moved["status"], moved["note"]) == (
        "intervention_moved",
        "EXPIRED",
        "a limit",
    )


def test_each_move_is_reported_at_its_tick(log_lines: list[EventDict]) -> None:
    moved = intervention(status="SENT", steps={"APPROVED": AT_MS, "SENT": LATER_MS})
    [line] = reported(log_lines, moved, at_ms=LATER_MS)
    assert (line["event"], line["status"], line["tick_at_ms"], line["note"]) == (
        "intervention_moved",
        "SENT",
        LATER_MS,
        "",
    )


@pytest.mark.parametrize(
    ("outcome", "values"),
    [(MEASURED, (0.25, 0.5, 0.125, "")), (CENSORED, (0.25, 0.0, 0.0, "gap"))],
)
def test_an_outcome_is_reported_once(
    log_lines: list[EventDict], outcome: object, values: tuple[object, ...]
) -> None:
    held = intervention(type="HOLD", status="HELD", steps={"HELD": AT_MS}, outcome=outcome)
    [line] = reported(log_lines, held, at_ms=MEASURED_MS)
    assert line["event"] == "outcome_measured"
    keys = ("score_before", "score_after", "reward", "censored")
    assert tuple(line[key] for key in keys) == values
    reported(log_lines, held, at_ms=MEASURED_MS + 5000)
    assert len(log_lines) == 1
