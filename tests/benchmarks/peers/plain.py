"""The usual hand-made way: one asyncio program, a dict of rooms, one INSERT per session.

redis.asyncio reads the streams, `json` decodes, psycopg stores in one transaction per tick, and
one pipeline publishes. Settings: REDIS_URL, DATABASE_URL, CONDUCTOR_TICK_S.
"""

import asyncio
import json
import os
import time
from typing import Any

import psycopg
import redis.asyncio

from conductor_actors.domain.events import DECODERS
from tests.benchmarks.peers.room import CHANNEL, INSERT, Room, message, say

Redis = Any  # redis-py's hints are of no use to whoever reads streams


async def read(client: Redis, rooms: dict[str, Room]) -> None:
    positions = dict.fromkeys(DECODERS, "0-0")
    told_s, events = time.monotonic(), 0
    while True:
        for raw_name, entries in await client.xread(positions, count=1000, block=25):
            name = raw_name.decode()
            for entry_id, fields in entries:
                body = json.loads(fields[b"data"])
                session_id = body["sessionId"]
                room = rooms.get(session_id)
                if room is None:
                    room = rooms[session_id] = Room(session_id)
                room.add(name, body, int(entry_id.split(b"-")[0]))
            positions[name] = entries[-1][0]
            events += len(entries)
        if time.monotonic() - told_s >= 1:
            say("events_routed", events=events)
            told_s, events = time.monotonic(), 0


async def tick(
    client: Redis, database: psycopg.AsyncConnection, rooms: dict[str, Room], tick_s: int
) -> None:
    while True:
        at_s = (time.time() // tick_s + 1) * tick_s
        await asyncio.sleep(at_s - time.time())
        rows = [room.row(int(at_s * 1000)) for room in rooms.values()]
        async with database.transaction(), database.cursor() as cursor:
            for row in rows:
                await cursor.execute(INSERT, row)
        async with client.pipeline(transaction=False) as pipeline:
            for row in rows:
                pipeline.publish(CHANNEL, message(row))
            await pipeline.execute()
        if rows:
            say("tick_completed", tick_at_ms=int(at_s * 1000), sessions=len(rows))


async def main() -> None:
    client: Redis = redis.asyncio.from_url(os.environ["REDIS_URL"])
    rooms: dict[str, Room] = {}
    async with await psycopg.AsyncConnection.connect(
        os.environ["DATABASE_URL"], autocommit=True
    ) as database:
        say("service_started")
        tick_s = int(os.environ["CONDUCTOR_TICK_S"])
        await asyncio.gather(read(client, rooms), tick(client, database, rooms, tick_s))


if __name__ == "__main__":
    asyncio.run(main())
