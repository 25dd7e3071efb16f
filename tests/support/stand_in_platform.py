"""A stand-in for the platform: it carries out each action, and reports that as platforms do."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, Final, NamedTuple

import redis

from conductor_actors.wire.intervention_messages import ACTIONS_CHANNEL
from tests.support.event_samples import REPORTS_CHANNEL, REPORTS_STREAM

POLL_S: Final = 0.05
ANSWERS: Final = 2  # times that each report is sent
FAILED: Final = 4  # one of so many actions is not carried out


class Executed(NamedTuple):
    """An action that was received, for a tenant, and whether it was carried out."""

    prefix: str  # of the tenant's names
    body: dict[str, Any]
    is_success: bool

    @property
    def id(self) -> str:
        return str(self.body["intervention_id"])


class StandInPlatform:
    """Records every action that it receives in `executed`, in order.

    It reports each twice by the stream, and then twice by pub/sub unless `uses_pubsub` is False:
    first the newest, then those before it again. `never_fails` is for tests that need one action
    carried out.
    """

    def __init__(
        self, client: redis.Redis, *, uses_pubsub: bool = True, never_fails: bool = False
    ) -> None:
        self._client = client
        self._uses_pubsub = uses_pubsub
        self._never_fails = never_fails
        self._unrepeated: list[Executed] = []
        self.executed: list[Executed] = []

    def receive(self, channel: str, body: bytes) -> None:
        """Carry out an action, and report it with a repeated report of those before."""
        is_success = self._never_fails or (len(self.executed) + 1) % FAILED != 0
        done = Executed(channel.removesuffix(ACTIONS_CHANNEL), json.loads(body), is_success)
        self.executed.append(done)
        self._report([done, *self._unrepeated])
        self._unrepeated = [done]

    def repeat(self) -> None:
        """Report once more what was reported once."""
        self._report(self._unrepeated)
        self._unrepeated = []

    def of_session(self, session_id: str) -> list[Executed]:
        """Return what was carried out in a session."""
        return [each for each in self.executed if each.body["session_id"] == session_id]

    def _report(self, actions: list[Executed]) -> None:
        """Report in the stream first: a replay knows nothing of pub/sub."""
        for each in actions:
            self._client.xadd(each.prefix + REPORTS_STREAM, {"data": _report_body(each)})
        for each in actions if self._uses_pubsub else ():
            self._client.publish(each.prefix + REPORTS_CHANNEL, _report_body(each))


@contextmanager
def standing_in(
    url: str, *, uses_pubsub: bool = True, never_fails: bool = False
) -> Iterator[StandInPlatform]:
    """Carry out what is published on any tenant's channel, until the block ends."""
    stop, is_subscribed = Event(), Event()
    with redis.Redis.from_url(url, socket_timeout=None) as client, client.pubsub() as pubsub:
        platform = StandInPlatform(client, uses_pubsub=uses_pubsub, never_fails=never_fails)
        pubsub.psubscribe(f"*{ACTIONS_CHANNEL}")

        def receive() -> None:
            while not stop.is_set():
                message = pubsub.get_message(timeout=POLL_S)
                if message is None:
                    platform.repeat()
                elif message["type"] == "pmessage":
                    platform.receive(message["channel"].decode(), message["data"])
                else:
                    is_subscribed.set()

        thread = Thread(target=receive, name="platform")
        thread.start()
        try:
            assert is_subscribed.wait(10)
            yield platform
        finally:
            stop.set()
            thread.join()


def _report_body(done: Executed) -> bytes:
    body = {
        "success": done.is_success,
        "intervention_id": done.id,
        "session_id": done.body["session_id"],
        "event_id": done.body["event_id"],
        "timestamp": done.body["timestamp"],
    }
    body |= {"result": {"delivered": 12}} if done.is_success else {"error": "nobody is there"}
    return json.dumps(body).encode()
