"""What operators are told and shown is what the program measures, and says what to do."""

import json
import re
from itertools import chain
from pathlib import Path

import pytest
import yaml

from tests.deploy.files import DEPLOY, ROOT, checked_by, document, text
from tests.deploy.metrics import selectors, series
from tests.support.log_lines import KINDS

RULES = document(DEPLOY / "prometheus" / "rules.yaml")["groups"][0]["rules"]
NAMES = [rule["alert"] for rule in RULES]
BOARD = json.loads(text(DEPLOY / "grafana" / "board.json"))
SHOWN = [target["expr"] for panel in BOARD["panels"] for target in panel.get("targets", ())]
EXPRESSIONS = [rule["expr"] for rule in RULES] + SHOWN
OPERATIONS = text(DEPLOY / "OPERATIONS.md")

# An hour of two collectors, a dashboard and a disk that are well; a sample a minute.
WELL = {
    'conductor_owner{instance="a"}': "1x60",
    'conductor_owner{instance="b"}': "0x60",
    'conductor_sessions{instance="a"}': "20x60",
    'conductor_sessions{instance="b"}': "0x60",
    'conductor_last_success_timestamp_seconds{instance="a", step="read"}': "0+60x60",
    'conductor_last_success_timestamp_seconds{instance="b", step="read"}': "0x60",
    'conductor_last_success_timestamp_seconds{instance="a", step="tick"}': "0+60x60",
    'conductor_last_success_timestamp_seconds{instance="a", step="store"}': "0+60x60",
    'conductor_last_success_timestamp_seconds{instance="a", step="checkpoint"}': "0+60x60",
    "conductor_stream_lag_seconds": "0x60",
    'conductor_partitions{instance="a"}': "1x60",
    'conductor_partitions{instance="b"}': "1x60",
    'conductor_rewinds_requested_total{reason="hole"}': "2x60",
    "conductor_ticks_late_total": "3x60",
    'conductor_gaps_total{reason="flooded"}': "1x60",
    'conductor_refused_events_total{reason="tenant_events"}': "7x60",
    "conductor_unreadable_streams": "0x60",
    'conductor_events_total{result="routed"}': "0+1000x60",
    'conductor_events_total{result="invalid"}': "0+1x60",
    'conductor_primaries_lost_total{reason="role"}': "8x60",
    "conductor_primary_changes_total": "1x60",
    'conductor_outage{service="database"}': "0x60",
    "conductor_outbox_rows": "0x60",
    "conductor_rows_refused_total": "2x60",
    "conductor_updates_dropped_total": "2x60",
    'conductor_log_lines_dropped_total{output="stdout"}': "2x60",
    'conductor_actor_failures_total{kind="session"}': "1x60",
    "conductor_sessions_quarantined": "0x60",
    "conductor_anomalies_tenant_share": "0.1x60",
    'conductor_interventions_sent_total{type="POLL"}': "0+1x60",
    'conductor_interventions_unsent_total{reason="late"}': "2x60",
    'conductor_interventions_moved_total{status="EXECUTED"}': "0+1x60",
    'conductor_interventions_moved_total{status="FAILED"}': "2x60",
    'conductor_outage{service="redis policy"}': "0x60",
    "conductor_trials_dropped_total": "0x60",
    "conductor_webhooks_oldest_seconds": "30x60",
    'conductor_webhook_attempts_total{result="given_up"}': "2x60",
    'conductor_webhook_attempts_total{result="failed"}': "0+1x60",
    'conductor_dashboard_clients_closed_total{reason="slow"}': "7x60",
    'up{job="conductor-collector", instance="a"}': "1x60",
    'node_filesystem_avail_bytes{mountpoint="/data"}': "50x60",
    'node_filesystem_size_bytes{mountpoint="/data"}': "100x60",
}
STALLED = "0+60x30 1800x30"

# What has to go wrong for each alert, and alerts that rightly come with it.
WRONG = {
    "ConductorWithoutOwner": {'conductor_owner{instance="a"}': "1x30 0x30"},
    "ConductorOwnerFlaps": {
        'conductor_owner{instance="a"}': "1 0 1 0 1 0 1x60",
        'conductor_owner{instance="b"}': "0 1 0 1 0 1 0x60",
    },
    "ConductorReadsNothing": {
        'conductor_last_success_timestamp_seconds{instance="a", step="read"}': STALLED
    },
    "ConductorReadsLate": {"conductor_stream_lag_seconds": "0x30 40x30"},
    "ConductorWithoutSplitter": {
        'conductor_partitions{instance="b"}': "64x60",
        'conductor_owner{instance="b"}': "64x60",
        'conductor_splitter{instance="b"}': "1x30 0x30",
    },
    "ConductorBlocksMissing": {'conductor_rewinds_requested_total{reason="hole"}': "2x35 3x30"},
    "ConductorTicksLate": {"conductor_ticks_late_total": "3x30 4+1x30"},
    "ConductorScoresNothing": {
        'conductor_last_success_timestamp_seconds{instance="a", step="tick"}': STALLED
    },
    "ConductorEventsLost": {'conductor_gaps_total{reason="flooded"}': "1x35 2x30"},
    "ConductorEventsInvalid": {'conductor_events_total{result="invalid"}': "0+100x60"},
    "ConductorEventsRefused": {'conductor_refused_events_total{reason="tenant_events"}': "0+9x60"},
    "ConductorStreamUnreadable": {"conductor_unreadable_streams": "0x30 1x30"},
    "ConductorRedisFailedOver": {'conductor_primaries_lost_total{reason="role"}': "8x35 14x30"},
    "ConductorDatabaseAway": {'conductor_outage{service="database"}': "0x30 1x30"},
    "ConductorOutboxFills": {"conductor_outbox_rows": "0x20 0+1000x40"},
    "ConductorStoresNothing": {
        'conductor_last_success_timestamp_seconds{instance="a", step="store"}': STALLED
    },
    "ConductorRowsRefused": {"conductor_rows_refused_total": "2x35 3x30"},
    "ConductorUpdatesDropped": {"conductor_updates_dropped_total": "2x35 3x30"},
    "ConductorLogLinesDropped": {'conductor_log_lines_dropped_total{output="stdout"}': "2x35 3x30"},
    "ConductorCheckpointsFail": {
        'conductor_last_success_timestamp_seconds{instance="a", step="checkpoint"}': STALLED
    },
    "ConductorActorsRestart": {'conductor_actor_failures_total{kind="session"}': "1x35 2x30"},
    "ConductorSessionsQuarantined": {"conductor_sessions_quarantined": "0x30 1x30"},
    "ConductorAnomalyStorm": {"conductor_anomalies_tenant_share": "0.1x30 0.4x30"},
    "ConductorActionsUnsent": {'conductor_interventions_unsent_total{reason="late"}': "2x35 3x25"},
    "ConductorActionsUnanswered": {
        'conductor_interventions_moved_total{status="EXECUTED"}': "7x60"
    },
    "ConductorActionsFail": {
        'conductor_interventions_moved_total{status="EXECUTED"}': "0+0.1x60",
        'conductor_interventions_moved_total{status="FAILED"}': "0+1x60",
    },
    "ConductorLearnsNothing": {'conductor_outage{service="redis policy"}': "0x30 1x30"},
    "ConductorWebhooksLate": {"conductor_webhooks_oldest_seconds": "30x20 1000x40"},
    "ConductorWebhooksGivenUp": {
        'conductor_webhook_attempts_total{result="given_up"}': "2x35 3x30"
    },
    "ConductorDashboardEvicts": {
        'conductor_dashboard_clients_closed_total{reason="slow"}': "7x35 27x30"
    },
    "ConductorDown": {'up{job="conductor-collector", instance="a"}': "1x30 0x30"},
    "ConductorDiskFills": {'node_filesystem_avail_bytes{mountpoint="/data"}': "50x20 5x40"},
}
LOOKED_AT = {"ConductorOwnerFlaps": "10m"}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_asks_for_what_is_measured(expression: str) -> None:
    asked = selectors(expression)
    assert asked
    assert {str(each.name) for each in asked} <= series()


def test_every_label_that_is_asked_for_is_a_constant_of_the_program() -> None:
    source = "".join(text(path) for path in (ROOT / "conductor_actors").rglob("*.py"))
    values = {
        value
        for expression in EXPRESSIONS
        for label, value in re.findall(r'(\w+)="(\w+)"', expression)
    }
    assert values >= {"read", "tick", "store", "checkpoint", "invalid", "database", "slow"}
    assert [value for value in values if f'"{value}"' not in source] == []


def test_every_series_of_the_collector_is_shown_or_watched() -> None:
    asked = {stem(str(each.name)) for each in chain(*map(selectors, EXPRESSIONS))}
    ours = {stem(name) for name in series() if name.startswith("conductor_")}
    assert {name for name in ours - asked if not name.startswith("conductor_dashboard_")} == set()


def stem(name: str) -> str:
    """Give the name of the histogram that a series is a part of."""
    return re.sub("_(bucket|sum|count)$", "", name)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_every_alert_has_its_paragraph_with_cause_and_command(
    rule: dict[str, dict[str, str]],
) -> None:
    name = str(rule["alert"])
    path, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert (path, anchor) == ("deploy/OPERATIONS.md", name.lower())
    paragraph = re.search(rf"^### {name}\n(.*?)(?=^##)", OPERATIONS, re.MULTILINE | re.DOTALL)
    assert paragraph, name
    symptom, _, rest = paragraph[1].partition("\n*Cause")
    _, _, command = rest.partition("```sh\n")
    assert all((symptom, rest, command)), f"{name} needs symptom, cause and command, in this order"
    assert rule["annotations"]["summary"].endswith((".", "left."))


def test_no_paragraph_is_of_an_alert_that_is_gone() -> None:
    assert re.findall(r"^### (Conductor\w+)$", OPERATIONS, re.MULTILINE) == NAMES


def test_every_log_event_that_operators_look_for_exists() -> None:
    events = set(re.findall(r'\.event == "(\w+)"', OPERATIONS))
    assert len(events) > 10
    assert events <= KINDS.keys()
    for beginning in re.findall(r'\.event \| startswith\("(\w+)"', OPERATIONS):
        assert any(name.startswith(beginning) for name in KINDS)


def test_every_alert_is_tried() -> None:
    assert list(WRONG) == NAMES


def test_no_alert_fires_while_all_is_well(tmp_path: Path) -> None:
    assert_firing(tmp_path, WELL, [], at="50m")


@pytest.mark.parametrize("name", NAMES)
def test_each_alert_fires_when_it_should_and_alone(name: str, tmp_path: Path) -> None:
    assert_firing(tmp_path, WELL | WRONG[name], [name], at=LOOKED_AT.get(name, "40m"))


@pytest.mark.parametrize(
    ("step", "name"),
    [
        ("read", "ConductorReadsNothing"),
        ("tick", "ConductorScoresNothing"),
        ("store", "ConductorStoresNothing"),
        ("checkpoint", "ConductorCheckpointsFail"),
    ],
)
def test_a_process_that_is_stuck_is_not_hidden_by_others_that_are_well(
    step: str, name: str, tmp_path: Path
) -> None:
    stuck = {
        'conductor_owner{instance="c"}': "32x60",
        f'conductor_last_success_timestamp_seconds{{instance="c", step="{step}"}}': STALLED,
    }
    assert_firing(tmp_path, WELL | stuck, [name], at="40m")


CLUSTER = {  # 64 partitions on three hosts
    'conductor_owner{instance="a"}': "22x60",
    'conductor_owner{instance="b"}': "21x60",
    'conductor_owner{instance="c"}': "21x60",
    'conductor_partitions{instance="c"}': "64x60",
    'conductor_splitter{instance="a"}': "0x60",
    'conductor_splitter{instance="d"}': "1x60",
}


def test_no_alert_fires_while_the_partitions_of_a_cluster_are_well(tmp_path: Path) -> None:
    assert_firing(tmp_path, WELL | CLUSTER, [], at="50m")


def test_a_partition_without_an_owner_is_reported_though_others_have_one(tmp_path: Path) -> None:
    lost = {'conductor_owner{instance="c"}': "21x30 20x30"}
    assert_firing(tmp_path, WELL | CLUSTER | lost, ["ConductorWithoutOwner"], at="40m")


def test_no_alert_fires_while_a_cluster_moves_its_partitions_to_a_new_host(tmp_path: Path) -> None:
    moves = {
        'conductor_owner{instance="a"}': "22x30 22-1x6 16x30",
        'conductor_owner{instance="b"}': "21x30 21-1x5 16x30",
        'conductor_owner{instance="c"}': "21x30 21-1x5 16x30",
        'conductor_owner{instance="d"}': "0x30 0+3x4 16x30",
    }
    assert_firing(tmp_path, WELL | CLUSTER | moves, [], at="45m")


def assert_firing(folder: Path, values: dict[str, str], names: list[str], at: str) -> None:
    """Let promtool compute which alerts fire after a while."""
    expected = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in names]
    firing = {
        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": at,
        "exp_samples": expected,
    }
    inputs = [{"series": series, "values": value} for series, value in values.items()]
    group = {"interval": "1m", "input_series": inputs, "promql_expr_test": [firing]}
    tests = {
        "rule_files": [str(DEPLOY / "prometheus" / "rules.yaml")],
        "evaluation_interval": "15s",
        "tests": [group],
    }
    path = folder / "tests.yaml"
    path.write_text(yaml.safe_dump(tests), encoding="utf-8")
    checked_by("promtool", "test", "rules", str(path))
