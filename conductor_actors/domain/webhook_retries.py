"""When a delivery to a webhook is tried again, and how many are sent to a receiver at once.

A delivery that fails waits with full jitter for up to 15 minutes. A receiver that does not work
gets one delivery at a time, with a pause of up to a minute between two: so it neither floods when
it is back, nor delays those of other tenants meanwhile.
"""

from typing import Final, Literal, NamedTuple, TypeAlias

FIRST_RETRY_S: Final = 5.0
MAX_RETRY_S: Final = 900.0
FIRST_PAUSE_S: Final = 1.0
MAX_RECEIVER_PAUSE_S: Final = 60.0
# A receiver that was away for a whole day has two hours left.
RETRIES_END_S: Final = 26 * 3600.0
MAX_IN_FLIGHT_PER_RECEIVER: Final = 8

GONE: Final = 410

Verdict: TypeAlias = Literal["delivered", "retry", "dead"]


def is_success(status: int | None) -> bool:
    """Check whether a receiver accepted what was sent to it."""
    return status is not None and 200 <= status < 300


def verdict_of(status: int | None, now_ms: int, first_attempt_ms: int) -> Verdict:
    """Return what becomes of a delivery after an attempt.

    410 says that the receiver does not want it any more. A redirect is not followed.
    """
    if is_success(status):
        return "delivered"
    if status == GONE or now_ms - first_attempt_ms >= RETRIES_END_S * 1000:
        return "dead"
    return "retry"


def retry_ms(attempts: int, now_ms: int, fraction: float, retry_after_s: float | None) -> int:
    """Return when a delivery that failed so often is tried again.

    `fraction` is random, 0 to 1. The receiver may ask for a longer wait.
    """
    wait_s = _jittered(FIRST_RETRY_S, MAX_RETRY_S, attempts, fraction)
    return now_ms + round(1000 * max(wait_s, _bounded(retry_after_s)))


class ReceiverCondition(NamedTuple):
    """How many attempts in a row have shown that a receiver does not work; when it is tried again.

    A receiver that refuses a delivery works.
    """

    failures: int = 0
    resume_ms: int = 0

    def free_slots(self, in_flight: int, now_ms: int) -> int:
        """Return how many more deliveries may be sent to it now."""
        if now_ms < self.resume_ms:
            return 0
        return max(0, (1 if self.failures else MAX_IN_FLIGHT_PER_RECEIVER) - in_flight)

    def after(
        self, status: int | None, now_ms: int, fraction: float, retry_after_s: float | None
    ) -> "ReceiverCondition":
        """Return its condition after an attempt."""
        if status is not None and status < 500 and status not in (408, 425, 429):
            return ReceiverCondition()
        asked_ms = now_ms + round(1000 * _bounded(retry_after_s))
        if now_ms < self.resume_ms:  # it was begun before
            return self._replace(resume_ms=max(self.resume_ms, asked_ms))
        failures = self.failures + 1
        pause_s = _jittered(FIRST_PAUSE_S, MAX_RECEIVER_PAUSE_S, failures, fraction)
        return ReceiverCondition(failures, max(now_ms + round(1000 * pause_s), asked_ms))


def _jittered(first_s: float, max_s: float, attempts: int, fraction: float) -> float:
    """Return a wait with full jitter, but never so short that it is none."""
    longest_s = min(max_s, first_s * 2.0 ** min(attempts - 1, 30))
    return max(first_s / 5, fraction * longest_s)


def _bounded(retry_after_s: float | None) -> float:
    return min(max(retry_after_s or 0.0, 0.0), RETRIES_END_S)
