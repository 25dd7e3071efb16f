"""The limit of a tick: one COPY of its rows and one pipeline of its messages, and nothing else.

`python -m tests.benchmarks.tick_limit DATABASE_URL REDIS_URL ROWS NUMBER`. Rows and messages are
made before the clock starts. Prints wall and CPU time as JSON. A process of its own.
"""

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg

from conductor_actors.adapters.postgres.metrics_table import COLUMN_TYPES
from tests.benchmarks.audience import CHANNEL
from tests.benchmarks.raw_redis import RawRedis, command

BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)
COPY: Final = f"COPY engagement_metrics ({', '.join(COLUMN_TYPES)}) FROM STDIN (FORMAT BINARY)"


def row(at: datetime, number: int) -> tuple[Any, ...]:
    session = f"bulk-{number}"
    signals = (14.0, 0.4347826086956522, 23, 23, 3.0, 0.0)
    return (at, "default", session, "summer-summit-2026", 0.6812345678, "HIGH", *signals)


def message(number: int) -> bytes:
    body = {
        "timestamp": "2026-01-04T12:00:05.000Z",
        "tenantId": "default",
        "sessionId": f"bulk-{number}",
        "eventId": "summer-summit-2026",
        "score": 0.6812345678901234,
        "category": "HIGH",
        "signals": {
            "chat_msgs_per_min": 14.0,
            "poll_participation": 0.4347826086956522,
            "active_users": 23,
            "total_users": 23,
            "reactions_per_min": 3.0,
            "user_leave_rate": 0.0,
        },
        "contributions": {
            "chat": 0.26685087,
            "poll": 0.10869565217391305,
            "active_users": 0.25,
            "reactions": 0.05781296526357667,
            "leave_rate": -0.0,
        },
    }
    return json.dumps(body, separators=(",", ":")).encode()


def copy(connection: psycopg.Connection, rows: list[tuple[Any, ...]]) -> None:
    with connection.cursor() as cursor, cursor.copy(COPY) as stream:
        stream.set_types(list(COLUMN_TYPES.values()))
        for each in rows:
            stream.write_row(each)
    connection.commit()


def publish(line: RawRedis, messages: list[bytes]) -> None:
    commands = [command("PUBLISH", CHANNEL, body) for body in messages]
    line.pipeline(b"".join(commands), len(commands))


def main() -> None:
    database_url, redis_url, count, number = sys.argv[1:]
    at = BEGINNING + timedelta(seconds=int(number))
    rows = [row(at, each) for each in range(int(count))]
    messages = [message(each) for each in range(int(count))]
    with psycopg.connect(database_url) as connection, RawRedis(redis_url) as line:
        connection.execute("SELECT 1")
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        copy(connection, rows)
        publish(line, messages)
        wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
        connection.execute("DELETE FROM engagement_metrics WHERE time = %s", (at,))
    print(json.dumps({"wall_s": wall_s, "cpu_s": cpu_s}))


if __name__ == "__main__":
    main()
