"""The running service, seen from outside: events into Redis; rows, messages and log lines out."""

import json
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis
from redis.client import PubSub

from conductor_actors.domain.identity import prefixed
from conductor_actors.domain.rows import COLUMNS, SIGNAL_COLUMNS
from conductor_actors.instants import from_iso, to_ms
from conductor_actors.simulate import Simulation
from tests.domain.test_contract import recorded
from tests.support.databases import temporary_database
from tests.support.event_samples import CHAT, INVALID_EVENTS
from tests.support.programs import (
    QUICK,
    Line,
    Program,
    Row,
    replay_rows,
    rows_until,
    running,
    select_rows,
)
from tests.support.unusual_events import UNUSUAL_EVENTS

SERVERS = {"plain": "postgres_url", "timescaledb": "timescaledb_url"}
ON_EACH = [
    pytest.param(name, marks=pytest.mark.xdist_group(f"played on {name}")) for name in SERVERS
]
attacks = pytest.mark.xdist_group("attacked")
TENANTS = ("default", "acme", "globex")
SIGNALS = SIGNAL_COLUMNS
BURSTS = 2
BURST_S = 40.0  # of a simulation, at once
HELD_BACK_MS = 500  # so that entries with ids of our own are read before their time comes


class Played(NamedTuple):
    """What came of a run with the sample as history and a simulation as present.

    `acme` was told by PUBLISH what `globex` was told by XADD, `default` something else.
    """

    log: list[Line]
    rows: list[Row]
    messages: list[tuple[str, dict[str, Any]]]
    replayed: list[Row]
    edition: str


@pytest.fixture(scope="module", params=ON_EACH)
def played(
    request: pytest.FixtureRequest, shared_valkey_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Played]:
    server_url = request.getfixturevalue(SERVERS[request.param])
    cwd = tmp_path_factory.mktemp("played")
    with redis.Redis.from_url(shared_valkey_url) as client, temporary_database(server_url) as url:
        client.flushall()
        settings = QUICK | {
            "REDIS_URL": shared_valkey_url,
            "DATABASE_URL": url,
            "CONDUCTOR_TENANTS": "acme,globex",
        }
        add_history(client)
        with client.pubsub() as pubsub:
            pubsub.psubscribe("*engagement:update")
            with running(cwd=cwd, **settings) as program:
                play(client, program)
                program.signal(signal.SIGTERM)
                assert program.finish().exit_code == 0
            messages = list(heard(pubsub))
        yield Played(
            program.lines,
            select_rows(url),
            messages,
            replay_rows(shared_valkey_url, cwd, **settings),
            request.param,
        )


def add_history(client: redis.Redis) -> None:
    """Add the sample as if it had happened five minutes ago."""
    entries = recorded()
    shift_ms = now_ms(client) - 300_000 - entries[0][0]
    for at_ms, sequence, name, body in entries:
        client.xadd(name, {"data": body}, id=f"{at_ms + shift_ms}-{sequence}")


def play(client: redis.Redis, program: Program) -> None:
    simulations = {
        "default": Simulation(3, seed=1),
        "acme": Simulation(3, seed=2, tenants=["acme"]),
        "globex": Simulation(3, seed=2, tenants=["globex"]),
    }
    program.wait_for("service_started")
    for burst in range(BURSTS):
        events = {
            tenant: simulation.step(BURST_S * burst, BURST_S)
            for tenant, simulation in simulations.items()
        }
        send(client, events)
        program.wait_for("tick_completed", tick_at_ms=next_tick_ms(client))


def send(client: redis.Redis, events: dict[str, list[tuple[str, bytes]]]) -> None:
    """Send a burst; in `globex` with ids in the order of sending, over all names."""
    at_ms = now_ms(client) + HELD_BACK_MS
    with client.pipeline(transaction=False) as pipeline:
        for name, body in events["acme"]:
            pipeline.publish(name, body)
        for name, body in events["default"]:
            pipeline.xadd(name, {"data": body})
        for sequence, (name, body) in enumerate(events["globex"]):
            pipeline.xadd(name, {"data": body}, id=f"{at_ms}-{sequence}")
        pipeline.execute()


def now_ms(client: redis.Redis) -> int:
    seconds, micros = client.time()
    return int(seconds * 1000 + micros // 1000)


def next_tick_ms(client: redis.Redis) -> int:
    """Give the first tick that has seen all that was sent."""
    return (now_ms(client) + HELD_BACK_MS) // 1000 * 1000 + 1000


def heard(pubsub: PubSub) -> Iterator[tuple[str, dict[str, Any]]]:
    while message := pubsub.get_message(timeout=0.2):
        if message["type"] == "pmessage":
            yield message["channel"].decode(), json.loads(message["data"])


def of(tenants: Sequence[str], rows: list[Row]) -> list[Row]:
    return [row for row in rows if row[1] in tenants]


def test_rows_are_bit_for_bit_what_a_replay_of_the_streams_gives(played: Played) -> None:
    last = played.replayed[-1][0]
    assert of(["default", "globex"], rows_until(last, played.rows)) == played.replayed
    assert len(played.replayed) > 80
    assert len({row[COLUMNS.index("engagement_score")] for row in played.replayed}) > 20


def test_the_edition_of_the_database_is_said_once(played: Played) -> None:
    [line] = [line for line in played.log if line["event"] == "database_connected"]
    assert (line["edition"] == "plain") == (played.edition == "plain")


def test_every_live_row_is_announced_once_with_the_same_figures(played: Played) -> None:
    ticks = [line for line in played.log if line["event"] == "tick_completed"]
    live = {line["tick_at_ms"] for line in ticks if line["lag_s"] <= 15}
    announced = Counter(announced_row(channel, body) for channel, body in played.messages)
    rows = Counter(row for row in played.rows if at_ms_of(row) in live)
    assert announced == rows
    assert {row[1] for row in announced} == set(TENANTS)


def announced_row(channel: str, body: dict[str, Any]) -> Row:
    """Read a message as the row it tells of; the contract says what is in it."""
    tenant = body["tenantId"]
    assert channel == ("" if tenant == "default" else f"{tenant}:") + "engagement:update"
    assert body["timestamp"].endswith(".000Z")
    added = list(body["contributions"].values())
    assert list(body["contributions"]) == [
        "chat",
        "poll",
        "active_users",
        "reactions",
        "leave_rate",
    ]
    assert min(1, max(0, sum(added))) == body["score"]
    assert list(body["signals"]) == list(SIGNALS)
    return (
        body["timestamp"].replace(".000Z", "+00:00"),
        tenant,
        body["sessionId"],
        body["eventId"],
        str(body["score"]),
        body["category"],
        *map(str, body["signals"].values()),
    )


def at_ms_of(row: Row) -> int:
    return to_ms(from_iso(row[0]))


def test_events_sent_by_publish_give_the_signals_that_they_give_in_streams(played: Played) -> None:
    by_tenant = {tenant: measures(of([tenant], played.rows)) for tenant in ("acme", "globex")}
    last = max(at for at, _ in by_tenant["globex"])
    compared = {key: row for key, row in by_tenant["globex"].items() if key[0] == last}
    assert compared == {key: row for key, row in by_tenant["acme"].items() if key[0] == last}
    assert len(compared) == 3
    assert all(float(value) > 0 for value in compared[last, "keynote-opening"][-6:-1])


def measures(rows: list[Row]) -> dict[tuple[str, str], Row]:
    """Give the rows by time and session, without their tenant."""
    return {(row[0], row[2]): row[3:] for row in rows}


@pytest.mark.parametrize("tenants", ["acme,globex,umbrella", "*"])
def test_the_same_session_id_in_four_tenants_is_four_sessions(
    tenants: str, valkey_url: str, postgres_url: str, tmp_path: Path
) -> None:
    settings = QUICK | {"REDIS_URL": valkey_url, "CONDUCTOR_TENANTS": tenants}
    with redis.Redis.from_url(valkey_url) as client, temporary_database(postgres_url) as url:
        for count, tenant in enumerate(TENANTS, 1):
            for number in range(count):
                client.xadd(prefixed(tenant, CHAT), {"data": chat("room", f"{number}")})
        with running(cwd=tmp_path, **settings, DATABASE_URL=url) as program:
            program.wait_for("service_started")
            for number in range(4):  # of a tenant that has no stream
                client.publish(f"umbrella:{CHAT}", chat("room", f"{number}"))
            tick = program.wait_for("tick_completed", sessions=4)
            program.signal(signal.SIGTERM)
            assert program.finish().exit_code == 0
        rows = [row for row in select_rows(url) if at_ms_of(row) == tick["tick_at_ms"]]
    chats_and_users = {row[1]: (float(row[6]), int(row[8])) for row in rows}
    assert chats_and_users == {
        "default": (6.0, 1),
        "acme": (12.0, 2),
        "globex": (18.0, 3),
        "umbrella": (24.0, 4),
    }


def chat(session_id: str, message_id: str) -> bytes:
    message = {"id": message_id, "authorId": f"user {message_id}"}
    return json.dumps({"sessionId": session_id, "message": message}).encode()


class Attacked(NamedTuple):
    """What came of a run in which every hostile body was sent in both transports."""

    log: list[Line]
    output: str
    rows: list[Row]
    letters: list[dict[bytes, bytes]]


@pytest.fixture(scope="module")
def attacked(
    shared_valkey_url: str, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Attacked]:
    settings = QUICK | {"REDIS_URL": shared_valkey_url}
    with redis.Redis.from_url(shared_valkey_url) as client, temporary_database(postgres_url) as url:
        client.flushall()
        with running(
            cwd=tmp_path_factory.mktemp("attacked"), **settings, DATABASE_URL=url
        ) as program:
            program.wait_for("service_started")
            attack(client)
            program.wait_for("tick_completed", tick_at_ms=next_tick_ms(client))
            program.signal(signal.SIGTERM)
            ended = program.finish()
            assert (ended.exit_code, ended.stderr) == (0, "")
        letters = [fields for _, fields in client.xrange("conductor:dead-letters")]
        yield Attacked(program.lines, ended.stdout, select_rows(url), letters)


def attack(client: redis.Redis) -> None:
    """Send everything in both transports, with a good message behind each."""
    bodies = [(name, body) for _, name, body, _ in INVALID_EVENTS]
    bodies += [(name, body) for _, name, body in UNUSUAL_EVENTS]
    with client.pipeline(transaction=False) as pipeline:
        for number, (name, body) in enumerate(bodies):
            pipeline.xadd(name, {"data": body})
            pipeline.publish(name, body)
            pipeline.xadd(CHAT, {"data": chat("good in streams", f"{number}")})
            pipeline.publish(CHAT, chat("good in pub/sub", f"{number}"))
        pipeline.execute()


@attacks
def test_every_good_event_between_hostile_ones_counts(attacked: Attacked) -> None:
    good = 6.0 * (len(INVALID_EVENTS) + len(UNUSUAL_EVENTS))
    most = {"good in streams": 0.0, "good in pub/sub": 0.0}
    for row in attacked.rows:
        if row[2] in most:
            most[row[2]] = max(most[row[2]], float(row[6]))
    assert most == dict.fromkeys(most, good)


@attacks
def test_every_invalid_event_is_a_dead_letter_with_its_reason(attacked: Attacked) -> None:
    sent = Counter((name, reason, body[:256]) for _, name, body, reason in INVALID_EVENTS)
    kept = Counter(
        (letter[b"source"].decode(), letter[b"reason"].decode(), letter[b"body"])
        for letter in attacked.letters
    )
    assert kept == sent + sent  # of both transports
    assert all(letter[b"entry_id"].count(b"-") == 1 for letter in attacked.letters)


@attacks
def test_invalid_events_are_counted_by_source_and_reason(attacked: Attacked) -> None:
    counted: Counter[tuple[str, str]] = Counter()
    for line in attacked.log:
        if line["event"] == "events_invalid":
            counted[line["source"], line["reason"]] += line["events"]
    sent = Counter((name, reason) for _, name, _, reason in INVALID_EVENTS)
    assert counted == sent + sent


@attacks
def test_no_text_of_an_event_is_in_the_log(attacked: Attacked) -> None:
    for _, _, body, _ in INVALID_EVENTS:
        beginning = body[:24].decode("utf-8", "replace")
        if len(beginning) == 24:
            assert beginning not in attacked.output
            assert json.dumps(beginning)[1:-1] not in attacked.output
    assert "sessionId" not in attacked.output
