import pytest
from structlog.testing import capture_logs

from conductor_actors.dashboard.realtime.invalid_messages import InvalidMessages
from conductor_actors.ports import PublishedMessage

UPDATE = (
    b'{"timestamp":"2026-01-04T12:00:00.000Z","tenantId":"a","sessionId":"s","eventId":"e",'
    b'"score":"high"}'
)
END = (
    b'{"id":"x","sessionId":"s","eventId":"e","timestamp":"secret","type":"T",'
    b'"startedAt":"secret","durationS":1}'
)


@pytest.mark.parametrize(
    ("name", "body", "reason"),
    [
        ("engagement:update", b"secret", "not JSON"),
        ("engagement:update", b"\xff", "not JSON"),
        ("engagement:update", b'{"x":' + b"[" * 100_000, "not JSON"),
        ("engagement:update", b"[]", "not a JSON object of this kind"),
        ("engagement:update", UPDATE, "missing or invalid: `$.score`"),
        ("anomaly:detected", b"{}", "missing or invalid: required field `sessionId`"),
        (
            "anomaly:detected",
            b'{"sessionId":"s","eventId":"e","timestamp":"","type":"T","severity":"secret"}',
            "missing or invalid: `$.severity`",
        ),
        ("anomaly:ended", END, "a time is not ISO 8601"),
    ],
)
def test_the_reason_is_logged_without_the_text(name: str, body: bytes, reason: str) -> None:
    invalid = InvalidMessages(lambda: 0.0)
    with capture_logs() as lines:
        invalid.add(PublishedMessage("acme", name, body))
    (line,) = lines
    assert (line["tenant"], line["source"], line["reason"]) == ("acme", name, reason)
    assert "secret" not in str(lines)


def test_one_line_a_minute_has_the_number_of_all() -> None:
    now_s = 0.0
    invalid = InvalidMessages(lambda: now_s)
    with capture_logs() as lines:
        for second in range(121):
            now_s = float(second)
            invalid.add(PublishedMessage("acme", "engagement:update", b""))
    assert [line["messages"] for line in lines] == [1, 60, 60]
