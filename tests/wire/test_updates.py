import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conductor_actors.domain.anomalies.changes import ExpectedScore
from conductor_actors.domain.conductor.interventions import AgentState
from conductor_actors.instants import to_datetime
from conductor_actors.wire.updates import decode_update, encode_update, encode_updates, update_of
from tests.support.score_rows import AT_MS, row

BODY = json.loads(encode_update(update_of(row())))


def test_the_json_of_an_update_is_as_in_the_contract() -> None:
    assert encode_update(update_of(row("s", tenant_id="acme"))) == (
        b'{"timestamp":"2026-01-04T12:00:00.000Z","tenantId":"acme","sessionId":"s",'
        b'"eventId":"event","score":0.6018,"category":"HIGH",'
        b'"signals":{"chat_msgs_per_min":12.0,"poll_participation":0.4,"active_users":31,'
        b'"total_users":50,"reactions_per_min":9.0,"user_leave_rate":0.02},'
        b'"contributions":{"chat":0.2527,"poll":0.1,"active_users":0.155,"reactions":0.096,'
        b'"leave_rate":-0.002}}'
    )


@given(st.text(min_size=1, max_size=255), st.integers(0, 253_402_300_799_999), st.floats(0, 1))
def test_an_update_reads_back_as_it_was_published(
    session_id: str, at_ms: int, score: float
) -> None:
    update = update_of(row(session_id, at_ms, score=score))
    assert decode_update("default", encode_update(update)) == update
    assert (update.at_ms, update.at) == (at_ms, to_datetime(at_ms))


def test_many_updates_are_encoded_as_each_of_them() -> None:
    rows = [row("line\nbreak", at_ms) for at_ms in range(AT_MS, AT_MS + 10_000, 5_000)]
    assert encode_updates(rows) == [encode_update(update_of(each)) for each in rows]
    assert encode_updates([]) == []


def test_only_an_update_of_an_unknown_audience_has_the_key_audience() -> None:
    unknown = update_of(row(is_audience_known=False))
    assert json.loads(encode_update(unknown)) == BODY | {"audience": "unknown"}
    assert decode_update("default", encode_update(unknown)) == unknown
    assert "audience" not in BODY


def test_only_an_update_with_a_baseline_has_the_range_of_expected_scores() -> None:
    update = update_of(row(expected=ExpectedScore(0.5, 0.75)))
    assert json.loads(encode_update(update)) == BODY | {"expected": [0.5, 0.75]}
    assert decode_update("default", encode_update(update)) == update
    assert "expected" not in BODY


@pytest.mark.parametrize(
    "time",
    ["2026-01-04T12:00:00Z", "2026-01-04T13:00:00.000+01:00", "2026-01-04 12:00:00.000400"],
)
def test_an_update_that_others_publish_is_read_with_any_iso_8601_time(time: str) -> None:
    body = {key: value for key, value in BODY.items() if key != "tenantId"}
    update = decode_update("default", json.dumps(body | {"timestamp": time, "room": 3}).encode())
    assert update == update_of(row())


def test_only_an_update_of_a_quiet_session_has_the_keys_of_what_was_arranged() -> None:
    quiet = update_of(row(quiet_until_ms=AT_MS + 60_000, is_chat_open=False))
    arranged = {"quietUntil": "2026-01-04T12:01:00.000Z", "chatOpen": False}
    assert json.loads(encode_update(quiet)) == BODY | arranged
    assert decode_update("default", encode_update(quiet)) == quiet
    assert not BODY.keys() & arranged.keys()


def test_only_an_update_of_a_session_where_the_conductor_does_something_has_its_state() -> None:
    waiting = update_of(row(agent=AgentState("MANUAL", "WAITING_APPROVAL", "d-1")))
    agent = {"mode": "MANUAL", "status": "WAITING_APPROVAL", "decisionId": "d-1"}
    assert json.loads(encode_update(waiting)) == BODY | {"agent": agent}
    assert decode_update("default", encode_update(waiting)) == waiting
    off = update_of(row(agent=AgentState("OFF", "IDLE")))
    assert json.loads(encode_update(off))["agent"] == {"mode": "OFF", "status": "IDLE"}
    assert "agent" not in BODY


def test_the_tenant_of_an_update_is_that_of_its_channel() -> None:
    update = decode_update("acme", json.dumps(BODY | {"tenantId": "globex"}).encode())
    assert update is not None
    assert update.tenant_id == "acme"


@pytest.mark.parametrize(
    "invalid",
    [
        {"sessionId": ""},
        {"sessionId": "x" * 256},
        {"eventId": ""},
        {"eventId": None},
        {"score": -0.1},
        {"score": 1.1},
        {"score": "0.5"},
        {"category": "FAIR"},
        {"timestamp": "noon"},
        {"timestamp": "9999-12-31T23:59:59-12:00"},
        {"expected": [0.2, 1.2]},
        {"timestamp": "2026-02-31T12:00:00.000Z"},
        {"timestamp": AT_MS},
        {"signals": {}},
        {"contributions": {}},
    ],
    ids=lambda invalid: repr(invalid)[:40],
)
def test_an_update_with_an_invalid_field_is_refused(invalid: dict[str, Any]) -> None:
    assert decode_update("default", json.dumps(BODY | invalid).encode()) is None


@pytest.mark.parametrize("name", [name for name in BODY if name != "tenantId"])
def test_an_update_without_one_of_its_fields_is_refused(name: str) -> None:
    body = {key: value for key, value in BODY.items() if key != name}
    assert decode_update("default", json.dumps(body).encode()) is None


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b"[]", b'{"x":' + b"[" * 100_000],
    ids=["empty", "not UTF-8", "a list", "nested too deep"],
)
def test_a_body_that_is_not_an_update_is_refused(body: bytes) -> None:
    assert decode_update("default", body) is None
