import json
from typing import Any

import pytest

from conductor_actors.dashboard.bodies import decode_anomaly

BODY = {
    "timestamp": "2026-01-04T12:00:00.000Z",
    "tenantId": "globex",
    "sessionId": "keynote",
    "eventId": "summit",
    "type": "SUDDEN_DROP",
    "severity": "WARNING",
    "anomalyScore": 3.2,
    "currentEngagement": 0.4,
    "expectedEngagement": 0.8,
    "deviation": -0.4,
    "signals": {},
}


def test_the_tenant_of_an_anomaly_is_its_channels() -> None:
    anomaly = decode_anomaly("acme", json.dumps(BODY).encode())
    assert anomaly is not None
    assert (anomaly.tenant_id, anomaly.session_id) == ("acme", "keynote")


@pytest.mark.parametrize(
    "invalid",
    [
        {"sessionId": ""},
        {"eventId": "x" * 256},
        {"type": "OTHER"},
        {"severity": "INFO"},
        {"timestamp": "2026-02-31T12:00:00.000Z"},
        {"timestamp": "2026-01-04T12:00:00Z"},
        {"signals": None},
    ],
    ids=repr,
)
def test_an_anomaly_with_an_invalid_field_is_refused(invalid: dict[str, Any]) -> None:
    assert decode_anomaly("acme", json.dumps(BODY | invalid).encode()) is None


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b'{"x":' + b"[" * 100_000])
def test_what_is_no_anomaly_is_refused(body: bytes) -> None:
    assert decode_anomaly("acme", body) is None
