"""`policy`: what it prints for anomalies and outcomes, and what it says of lines that are wrong."""

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conductor_actors.commands.policy_lines import replay_policy
from conductor_actors.domain.conductor.interventions import ACTIONS
from conductor_actors.domain.conductor.policy import Policy, added, draw, drawn, probabilities
from conductor_actors.errors import ConfigError

ANOMALY = {"id": "a1", "type": "SUDDEN_DROP", "before": 0.41}
OUTCOME = {"anomalyId": "a1", "after": 0.33}


@pytest.fixture(autouse=True)
def _salt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONDUCTOR_DECISION_SALT", "sea")


def run(
    lines: list[Any], capsys: pytest.CaptureFixture[str], name: str = "trials.jsonl"
) -> list[Any]:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    Path(name).write_text("\n".join(texts))
    replay_policy(name)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_decision_has_all_that_it_follows_from(capsys: pytest.CaptureFixture[str]) -> None:
    [line] = run([{"anomaly": ANOMALY}], capsys)
    shares = probabilities(Policy(), "SUDDEN_DROP", ACTIONS)
    point = draw("a1", "sea")
    assert line["decision"] == {
        "anomalyId": "a1",
        "tenant": "default",
        "policyVersion": 0,
        "probabilities": shares,
        "draw": point,
        "choice": drawn(shares, point),
    }


def test_an_outcome_changes_the_next_decision(capsys: pytest.CaptureFixture[str]) -> None:
    second = {"id": "a2", "type": "SUDDEN_DROP", "before": 0.5, "allowed": ["POLL"]}
    lines = [{"anomaly": ANOMALY}, "", {"outcome": OUTCOME}, {"anomaly": second}]
    [first, later, *effects] = run(lines, capsys)
    kind = first["decision"]["choice"]
    policy = added(Policy(), kind, "SUDDEN_DROP", 410_000, 330_000)
    assert later["decision"]["policyVersion"] == 1
    assert later["decision"]["probabilities"] == probabilities(policy, "SUDDEN_DROP", ("POLL",))
    assert [(each["tenant"], each["effect"]["type"]) for each in effects] == [
        ("default", action) for action in ACTIONS
    ]
    assert all(each["effect"]["effect"] is None for each in effects)
    assert all(each["effect"]["needed"] == 20 for each in effects)


def test_tenants_learn_apart(capsys: pytest.CaptureFixture[str]) -> None:
    other = {"id": "a2", "type": "SUDDEN_DROP", "before": 0.5, "tenant": "acme"}
    output = run([{"anomaly": ANOMALY}, {"outcome": OUTCOME}, {"anomaly": other}], capsys)
    assert output[1]["decision"]["policyVersion"] == 0


def test_effects_are_of_what_followed(capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[Any] = [
        {"anomaly": {**ANOMALY, "id": str(n), "allowed": ["POLL"]}} for n in range(60)
    ]
    choices = [each["decision"]["choice"] for each in run(lines, capsys)]
    for n, kind in enumerate(choices):
        after = 0.2 + 0.1 * (kind == "POLL") + n % 3 / 100
        lines.append({"outcome": {"anomalyId": str(n), "after": after}})
    [polls, *_] = [each["effect"] for each in run(lines, capsys) if "effect" in each]
    assert (polls["type"], polls["origin"], polls["needed"]) == ("POLL", "act", 0)
    assert polls["n"] == choices.count("POLL")
    assert polls["effect"] == pytest.approx(0.1, abs=0.005)
    assert polls["low"] < polls["effect"] < polls["high"]


def test_stdin_is_read_if_the_file_is_a_dash(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps({"anomaly": ANOMALY}).encode()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text)))
    replay_policy("-")
    assert json.loads(capsys.readouterr().out)["decision"]["anomalyId"] == "a1"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "truncated"),
        pytest.param('{"anomaly": ' + "[" * 5000, "", id="deep"),
        ({}, 'one of "anomaly" and "outcome"'),
        ({"anomaly": ANOMALY, "outcome": OUTCOME}, 'one of "anomaly" and "outcome"'),
        ({"anomaly": {**ANOMALY, "type": "NOISE"}}, "NOISE"),
        ({"anomaly": {**ANOMALY, "before": 1.5}}, "<= 1"),
        ({"anomaly": {**ANOMALY, "id": "new", "alowed": []}}, "alowed"),
        ({"anomaly": {**ANOMALY, "id": "new", "allowed": ["HOLD"]}}, "HOLD"),
        ({"anomaly": ANOMALY}, "a second anomaly with the id a1"),
        ({"outcome": OUTCOME}, "a second outcome of the anomaly a1"),
        ({"outcome": {**OUTCOME, "anomalyId": "x\x1b"}}, r"no anomaly before has the id x\x1b"),
    ],
)
def test_a_wrong_line_is_named_with_its_reason(
    line: Any, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError) as raised:
        run([{"anomaly": ANOMALY}, {"outcome": OUTCOME}, "", line], capsys)
    assert "trials.jsonl, line 4: " in str(raised.value)
    assert reason in str(raised.value)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.jsonl: No such file"):
        replay_policy("nowhere.jsonl")
