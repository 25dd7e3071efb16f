import json
from typing import Any

import pytest

from conductor_actors.wire.anomaly_messages import (
    anomaly_messages_of,
    decode_anomaly,
    decode_anomaly_end,
    encode_anomaly_message,
)
from tests.support.score_rows import AT_MS, began, ended, row

ROW = row("s", tenant_id="acme", anomalies=(began(),))
BEGAN, ENDED = (
    next(anomaly_messages_of(row("keynote", AT_MS + 65_000, anomalies=(change,))))
    for change in (began(), ended())
)
BODY: dict[str, Any] = json.loads(encode_anomaly_message(BEGAN))
END_BODY: dict[str, Any] = json.loads(encode_anomaly_message(ENDED))


def test_the_json_of_a_begin_is_as_in_the_contract() -> None:
    assert encode_anomaly_message(next(anomaly_messages_of(ROW))) == (
        b'{"id":"00000000-0000-5000-8000-000000000001","sessionId":"s","eventId":"event",'
        b'"tenantId":"acme","timestamp":"2026-01-04T12:00:00.000Z","type":"SUDDEN_DROP",'
        b'"severity":"CRITICAL","anomalyScore":0.9,"currentEngagement":0.6018,'
        b'"expectedEngagement":0.7,"deviation":-0.0982,'
        b'"signals":{"chat_msgs_per_min":12.0,"poll_participation":0.4,"active_users":31,'
        b'"total_users":50,"reactions_per_min":9.0,"user_leave_rate":0.02},'
        b'"onset":"2026-01-04T11:59:51.000Z","reason":"2 events in 9 s, 14 were expected."}'
    )


def test_the_json_of_an_end_is_as_in_the_contract() -> None:
    assert encode_anomaly_message(ENDED) == (
        b'{"id":"00000000-0000-5000-8000-000000000001","sessionId":"keynote","eventId":"event",'
        b'"tenantId":"default","timestamp":"2026-01-04T12:01:05.000Z","type":"SUDDEN_DROP",'
        b'"startedAt":"2026-01-04T12:00:00.000Z","durationS":65.0}'
    )


def test_what_is_published_reads_back_as_it_was() -> None:
    assert decode_anomaly("default", encode_anomaly_message(BEGAN)) == BEGAN
    assert decode_anomaly_end("default", encode_anomaly_message(ENDED)) == ENDED


def test_the_tenant_is_that_of_the_channel() -> None:
    begun = decode_anomaly("acme", json.dumps(BODY | {"tenantId": "globex"}).encode())
    over = decode_anomaly_end("acme", json.dumps(END_BODY | {"tenantId": "globex"}).encode())
    assert begun is not None
    assert over is not None
    assert (begun.tenant_id, over.tenant_id) == ("acme", "acme")


@pytest.mark.parametrize(
    "other",
    [
        {"timestamp": "2026-01-04T13:01:05+01:00"},
        {"timestamp": "2026-01-04 12:01:05"},
        {"timestamp": "2026-01-04T12:01:05.000400Z"},
        {"type": "SPAM_WAVE"},
        {"room": {"floor": 3}},
        {"anomalyScore": 3},
        {"signals": {"active_users": 3}},
    ],
    ids=repr,
)
def test_an_anomaly_that_others_publish_is_read(other: dict[str, Any]) -> None:
    optional = ("id", "tenantId", "onset", "reason", "signals")
    body = {key: value for key, value in BODY.items() if key not in optional} | other
    anomaly = decode_anomaly("default", json.dumps(body).encode())
    assert anomaly is not None
    assert anomaly.timestamp == "2026-01-04T12:01:05.000Z"
    written = json.loads(encode_anomaly_message(anomaly))
    assert written == {"signals": {}, "tenantId": "default"} | {
        key: value for key, value in body.items() if key in BODY
    } | {"timestamp": "2026-01-04T12:01:05.000Z"}


@pytest.mark.parametrize(
    "invalid",
    [
        {"sessionId": ""},
        {"eventId": "x" * 256},
        {"type": ""},
        {"severity": "INFO"},
        {"timestamp": "2026-02-31T12:00:00.000Z"},
        {"timestamp": "9999-12-31T23:59:59-12:00"},
        {"timestamp": "yesterday"},
        {"onset": "yesterday"},
        {"deviation": None},
        {"signals": None},
    ],
    ids=repr,
)
def test_an_anomaly_with_an_invalid_field_is_refused(invalid: dict[str, Any]) -> None:
    assert decode_anomaly("acme", json.dumps(BODY | invalid).encode()) is None


@pytest.mark.parametrize(
    "invalid",
    [{"id": ""}, {"startedAt": "now"}, {"durationS": -1}, {"durationS": "65"}],
    ids=repr,
)
def test_an_end_with_an_invalid_field_is_refused(invalid: dict[str, Any]) -> None:
    assert decode_anomaly_end("acme", json.dumps(END_BODY | invalid).encode()) is None


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b'{"x":' + b"[" * 100_000])
def test_what_is_no_anomaly_is_refused(body: bytes) -> None:
    assert decode_anomaly("acme", body) is None
    assert decode_anomaly_end("acme", body) is None
