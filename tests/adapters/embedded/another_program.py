"""Another program with both embedded servers, which tests interrupt and kill."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from pwd import struct_passwd
from typing import Final

import psycopg
import redis

from conductor_actors.adapters.embedded.servers import EmbeddedServers
from tests.support.server_processes import as_user

# It prints the URLs of its servers and ends with its input. After Ctrl-C it writes to both.
_SOURCE = """
import sys
from pathlib import Path
import psycopg, redis
from conductor_actors.adapters.embedded.servers import EmbeddedServers

with EmbeddedServers(Path(sys.argv[1])) as servers:
    urls = servers.start_valkey(), servers.start_postgres()
    try:
        print("urls", *urls, flush=True)
        sys.stdin.read()
    except KeyboardInterrupt:
        with redis.Redis.from_url(urls[0]) as client:
            client.set("word", "last")
        with psycopg.connect(urls[1]) as connection:
            connection.execute("CREATE TABLE words AS SELECT 'last' AS word")
"""


PROGRAM: Final = (sys.executable, "-W", "error", "-c", _SOURCE)


@contextmanager
def another_program(
    state_dir: Path, user: struct_passwd | None = None
) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run the program, as `user` or else as this process's user; yield it and its servers' URLs."""
    with subprocess.Popen(
        [*(as_user(user) if user else ()), *PROGRAM, str(state_dir)],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        lines = process.stdout or ()
        yield process, next(line.split()[1:] for line in lines if line.startswith("urls"))
        process.communicate()


def write_word(urls: Sequence[str], word: str) -> None:
    with redis.Redis.from_url(urls[0]) as client:
        client.set("word", word)
    with psycopg.connect(urls[1]) as connection:
        connection.execute("CREATE TABLE words (word text)")
        connection.execute("INSERT INTO words VALUES (%s)", (word,))


def read_words(state_dir: Path) -> tuple[str, str]:
    """Start both servers on the directory and return the word that each has."""
    with EmbeddedServers(state_dir) as servers:
        with redis.Redis.from_url(servers.start_valkey(), decode_responses=True) as client:
            from_valkey = client.get("word")
        with psycopg.connect(servers.start_postgres()) as connection:
            rows = connection.execute("SELECT word FROM words").fetchall()
    return str(from_valkey), str(rows[0][0])
