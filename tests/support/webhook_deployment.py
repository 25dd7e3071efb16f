"""A service that sends to webhooks, and sessions that end after seconds."""

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import msgspec
import psycopg

from conductor_actors.instants import to_iso, to_ms
from tests.e2e.deployment import Deployment
from tests.support.event_samples import REACTION
from tests.support.programs import Program
from tests.support.waiting import wait_until
from tests.support.webhook_receiver import SECRET, Receiver

# A session is over three seconds after its last event.
SHORT_SESSIONS: Final = {
    "CONDUCTOR_TICK_S": "1",
    "CONDUCTOR_WINDOW_S": "2",
    "CONDUCTOR_SESSION_TIMEOUT_S": "3",
    "CONDUCTOR_PRESENCE_TIMEOUT_S": "3",
    "CONDUCTOR_WEBHOOK_SECRET": SECRET,
    "CONDUCTOR_WEBHOOK_ALLOW_PRIVATE": "true",
    "CONDUCTOR_HTTP_PORT": "0",
    "CONDUCTOR_METRICS_PORT": "0",
}
SESSIONS_PER_S: Final = 10
START_WITHIN_S: Final = 20.0
DELIVERED_WITHIN_S: Final = 240.0


class DeliveryReport(NamedTuple):
    """What a receiver got, against what happened: each session ended once."""

    sessions: int
    deliveries: int
    duplicates: int
    lost: int
    differing: int  # deliveries with a known key and another body
    misplaced: int  # that came before an earlier one of their session


def add_reaction(deployment: Deployment, session: str) -> None:
    body = msgspec.json.encode({"sessionId": session, "userId": "ada"})
    deployment.client.xadd(REACTION, {"data": body})


@contextmanager
def sessions_that_end(deployment: Deployment) -> Iterator[None]:
    """Begin ten sessions a second until the block ends; each has one event."""
    stop = threading.Event()

    def begin() -> None:
        number = 0
        while not stop.wait(1 / SESSIONS_PER_S):
            number += 1
            add_reaction(deployment, f"talk-{number}")

    thread = threading.Thread(target=begin)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def kill_in_mid_delivery(program: Program, receiver: Receiver, at_least: int = 5) -> None:
    """Kill the service right after the receiver has got something that it has not answered."""
    known = len(receiver.received)
    wait_until(lambda: len(receiver.received) >= known + at_least, START_WITHIN_S)
    received, killed = threading.Event(), threading.Event()
    reply = receiver.reply

    def hold(each: object) -> object:
        received.set()
        killed.wait(START_WITHIN_S)
        return reply(each)  # type: ignore[arg-type]

    receiver.reply = hold  # type: ignore[assignment]
    assert received.wait(START_WITHIN_S)
    program.signal(signal.SIGKILL)
    program.finish()
    receiver.reply = reply
    killed.set()


def wait_delivered(deployment: Deployment) -> None:
    """Wait until every session has ended, and nothing is to be sent."""

    def is_delivered() -> bool:
        with psycopg.connect(deployment.settings["DATABASE_URL"]) as connection:
            [(live, pending)] = connection.execute("""
                SELECT (SELECT count(*) FROM sessions WHERE ended_at IS NULL),
                       (SELECT count(*) FROM webhook_deliveries WHERE state <> 'delivered')
            """)
        return (live, pending) == (0, 0)

    wait_until(is_delivered, DELIVERED_WITHIN_S)


def report_deliveries(deployment: Deployment, receiver: Receiver) -> DeliveryReport:
    """Compare what was received with the last row of each session."""
    with psycopg.connect(deployment.settings["DATABASE_URL"]) as connection:
        last_rows = connection.execute("""
            SELECT session_id, max(time) FROM engagement_metrics GROUP BY session_id
        """).fetchall()
    ends = {(session, to_iso(to_ms(at), "milliseconds")) for session, at in last_rows}
    received = [*receiver.received]
    counts = Counter(each.id for each in received)
    bodies: dict[str, bytes] = {}
    differing = sum(bodies.setdefault(each.id, each.body) != each.body for each in received)
    got = {(each.session, each.event["timestamp"]) for each in received}
    newest: dict[str, str] = {}
    misplaced, known = 0, set[str]()
    for each in received:
        at = each.event["timestamp"]
        misplaced += each.id not in known and newest.get(each.session, "") > at
        known.add(each.id)
        newest[each.session] = max(newest.get(each.session, ""), at)
    return DeliveryReport(
        len(ends),
        len(received),
        sum(counts.values()) - len(counts),
        len(ends - got),
        differing,
        misplaced,
    )


def kill_repeatedly(deployment: Deployment, kills: int) -> DeliveryReport:
    """Kill the service in mid-delivery, again and again, then let it finish."""
    with Receiver() as receiver:
        settings = SHORT_SESSIONS | {"CONDUCTOR_WEBHOOK_URL": receiver.url}
        with sessions_that_end(deployment):
            for _ in range(kills):
                with deployment.running(**settings) as program:
                    program.wait_for("service_started", START_WITHIN_S)
                    kill_in_mid_delivery(program, receiver)
        with deployment.running(**settings) as program:
            wait_delivered(deployment)
            program.signal(signal.SIGTERM)
            assert program.finish().exit_code == 0
        return report_deliveries(deployment, receiver)


def take_receiver_away(deployment: Deployment, seconds: float) -> DeliveryReport:
    """Stop the receiver for so long while sessions end, then let it finish."""
    receiver = Receiver()
    settings = SHORT_SESSIONS | {"CONDUCTOR_WEBHOOK_URL": receiver.url}
    with deployment.running(**settings) as program:
        program.wait_for("service_started", START_WITHIN_S)
        with sessions_that_end(deployment):
            wait_until(lambda: len(receiver.received) >= 10, START_WITHIN_S)
            receiver.close()
            threading.Event().wait(seconds)
        back = Receiver(receiver.port)
        wait_delivered(deployment)
        program.signal(signal.SIGTERM)
        assert program.finish().exit_code == 0
    back.close()
    back.received[:0] = receiver.received
    return report_deliveries(deployment, back)
