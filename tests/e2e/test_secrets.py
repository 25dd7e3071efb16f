"""No part of a password in a URL is ever written, whatever is wrong with the URL."""

import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

import pytest
import structlog
from prometheus_client import CollectorRegistry

from conductor_actors import cli
from conductor_actors.app.signals import STOP_SIGNALS
from conductor_actors.commands import launch
from conductor_actors.observability.metrics import CollectorMetrics
from tests.domain.test_contract import SAMPLE
from tests.support.processes import ROOT
from tests.support.programs import Completed, run_to_end, running

# Pieces of passwords. The number could be a port, and nothing else that is written looks like it.
PIECES: Final = re.compile(r"Zebra|Yodel|(?<![\d.])29173(?![\d.])", re.IGNORECASE)

# What can't be read ends each command that needs it with 2.
UNREADABLE_REDIS: Final = (
    "redis://u:Zebra/Yodel@h:6379/0",
    "redis://u:Zebra#Yodel@h:6379/0",
    "redis://u:Zebra?Yodel@h:6379/0",
    "redis://u:29173/Yodel@127.0.0.1:9/0",
    "redis://u:29173#Yodel@127.0.0.1:9/0",
    "redis://u:29173?Yodel@127.0.0.1:9/0",
    "redis://u:Yodel@29173/Zebra@127.0.0.1:9/0",
    "redis://u:Zebra@h:port/0",
    "redis://u:Zebra@h:99999/0",
    "redis://u:Zebra@[::1:6379/0",
    "redis://u:Zebra",
    "redis://:Zebra",
    "redis://127.0.0.1:9,password=Zebra",
    "redis://localhost,password=Zebra",
    "redis://u:Zebra@h?speed=high",
    "redis://u:Zebra@h?socket_timeout=soon",
    "redis:/u:Zebra@h:6379",
    "http://u:Zebra@h:6379",
    "u:Zebra@h:6379",
)
UNREADABLE_DATABASES: Final = (
    "postgresql://u:Zebra/Yodel@h:5432/db",
    "postgresql://u:Zebra?Yodel@h:5432/db",
    "postgresql://u:Zebra@Yodel@h:5432/db",
    "postgresql://u:Zebra%Yodel@h:5432/db",
    "postgresql://u:29173/Yodel@127.0.0.1:9/db",
    "postgresql://u:29173?sslmode=Yodel@127.0.0.1:9/db",
    "postgresql://u:29173@Yodel/Zebra@127.0.0.1:9/db",
    "postgresql://u:Zebra@h:port/db",
    "postgresql://u:Zebra@h:99999/db",
    "postgresql://u:Zebra@[::1/db",
    "postgresql://u:Zebra",
    "postgresql://u:Zebra@h/db?speed=high",
    "mysql://u:Zebra@h/db",
    "mysql://u:Zebra@h/db?sslmode=require",
    "postgresql+psycopg://u:Zebra@h/db",
    "u:Zebra@h/db",
    "host=h password=Zebra Yodel",
    "host=h password='Zebra",
    "host=127.0.0.1;port=9;password=Zebra",
    "host=127.0.0.1 port=9 user=u;password=Zebra",
)

# These can be read, and nobody answers there.
UNREACHABLE_REDIS: Final = (
    "redis://u:Zebra@127.0.0.1:9/0",
    "redis://u:Zebra@Yodel@127.0.0.1:9/0",
    "redis://u:Zebra%Yodel:29173@127.0.0.1:9/0",
    "redis://u:Zebra@:9/0",
    "rediss://u:Zebra@127.0.0.1:9/0",
    "redis://127.0.0.1:9/0?password=Zebra",
    "redis://u:Zebra@nowhere.invalid:6379/0",
    "unix://u:Zebra@/nowhere/redis.sock",
)
UNREACHABLE_DATABASES: Final = (
    "postgresql://u:Zebra@127.0.0.1:9/db",
    "postgresql://u:Zebra#Yodel:29173@127.0.0.1:9/db",
    "postgresql://u:Zebra@/db?host=/nowhere",
    "postgresql://u:Zebra@127.0.0.1:9/db?sslmode=maybe",
    "postgresql://127.0.0.1:9/db?password=Zebra",
    "postgresql://u:Zebra@nowhere.invalid/db",
    "host=127.0.0.1 port=9 user=u password=Zebra",
)

EVENTS: Final = SAMPLE / "events.jsonl"
AT_ONCE: Final = 3
SERVICES: Final = ("run", "collect", "dashboard", "demo --sessions 1")  # run until they are stopped
ON_BOTH: Final = (*SERVICES, "check")
ON_REDIS: Final = (  # {} is the URL
    "replay {} --csv -",
    "dead-letters list",
    "dead-letters show 1-1",
    "dead-letters retry --all",
    "inspect --once",
    "inspect {} --once",
    "inspect session acme/keynote",
)
ON_DATABASE: Final = ("migrate", f"replay {EVENTS}", f"replay {EVENTS} --against database")
COMMANDS: Final = (*ON_BOTH, *ON_REDIS, *ON_DATABASE)


class Urls(NamedTuple):
    redis: str
    database: str

    def password(self) -> list[str]:
        """Return the pieces of a password that stand in the URLs."""
        return PIECES.findall(self.redis + self.database)


@pytest.fixture
def servers(valkey_url: str, shared_database: str) -> Urls:
    """Return the URLs of servers that answer."""
    return Urls(valkey_url, shared_database)


def with_each(
    command: str, servers: Urls, redis_urls: Iterable[str], database_urls: Iterable[str]
) -> list[Urls]:
    """Replace one URL at a time of those that the command needs."""
    urls = []
    if command not in ON_DATABASE:
        urls += [servers._replace(redis=url) for url in redis_urls]
    if command not in ON_REDIS:
        urls += [servers._replace(database=url) for url in database_urls]
    assert all(each.password() for each in urls)
    return urls


def ended(command: str, urls: Urls, folder: Path, *, starts: bool = False) -> Completed:
    """Run a command to its end; one that starts to serve is stopped when it reports an outage."""
    folder.mkdir()
    (folder / "demo.log").symlink_to("/dev/stdout")
    arguments = [part.format(urls.redis) for part in command.split()]
    variables = {
        "REDIS_URL": urls.redis,
        "DATABASE_URL": urls.database,
        "CONDUCTOR_STATE_DIR": str(folder),
        "CONDUCTOR_LOG_LEVEL": "debug",
    }
    with running(*arguments, cwd=folder, **variables) as program:
        if starts:
            program.wait_for("outage_began")
            program.signal(signal.SIGTERM)
        return program.finish(60)


def all_ended(command: str, urls: Sequence[Urls], folder: Path, *, starts: bool) -> list[Completed]:
    """Run a command with each of the URLs, some at a time; check that no password is written."""

    def run(number: int) -> Completed:
        return ended(command, urls[number], folder / str(number), starts=starts)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = [*threads.map(run, range(len(urls)))]
    for each, (_, stdout, stderr) in zip(urls, found, strict=True):
        assert PIECES.findall(stdout + stderr) == [], (each, stdout, stderr)
    return found


@pytest.fixture
def in_this_process(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, Urls], Completed]]:
    """Run commands that end by themselves, which takes a tenth of a process's time."""
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONDUCTOR_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("CONDUCTOR_HTTP_PORT", "0")
    monkeypatch.setenv("CONDUCTOR_METRICS_PORT", "0")
    monkeypatch.setattr(launch, "CollectorMetrics", lambda: CollectorMetrics(CollectorRegistry()))
    log = tmp_path / "demo.log"

    def run(command: str, urls: Urls) -> Completed:
        log.write_text("")
        monkeypatch.setenv("REDIS_URL", urls.redis)
        monkeypatch.setenv("DATABASE_URL", urls.database)
        arguments = [part.format(urls.redis) for part in command.split()]
        monkeypatch.setattr(sys, "argv", ["conductor_actors", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        written = capfd.readouterr()
        return Completed(int(end.value.code or 0), written.out + log.read_text(), written.err)

    with Path(os.devnull).open(encoding="utf-8") as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        yield run
    structlog.reset_defaults()
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_url_that_can_not_be_read_is_refused_without_its_password(
    command: str, servers: Urls, in_this_process: Callable[[str, Urls], Completed]
) -> None:
    refused = 1 if command == "check" else 2
    for urls in with_each(command, servers, UNREADABLE_REDIS, UNREADABLE_DATABASES):
        found = in_this_process(command, urls)
        assert PIECES.findall(found.stdout + found.stderr) == [], (urls, found)
        assert found.exit_code == refused, (urls, found)


@pytest.mark.parametrize("command", [one for one in COMMANDS if one not in SERVICES])
def test_a_server_that_does_not_answer_is_reported_without_its_password(
    command: str, servers: Urls, in_this_process: Callable[[str, Urls], Completed]
) -> None:
    for urls in with_each(command, servers, UNREACHABLE_REDIS, UNREACHABLE_DATABASES):
        found = in_this_process(command, urls)
        assert PIECES.findall(found.stdout + found.stderr) == [], (urls, found)
        assert found.exit_code in {0, 1, 2}, (urls, found)


@pytest.mark.parametrize(("command", "most"), [*zip(SERVICES, (1, None, None, 1), strict=True)])
def test_a_service_without_its_servers_does_not_write_their_passwords(
    command: str, most: int | None, servers: Urls, tmp_path: Path
) -> None:
    urls = with_each(command, servers, UNREACHABLE_REDIS[:most], UNREACHABLE_DATABASES[:most])
    found = all_ended(command, urls, tmp_path, starts=True)
    assert {one.exit_code for one in found} == {0}


@pytest.mark.parametrize("command", ["run", "demo", "check", "inspect --once"])
def test_a_program_that_is_started_cold_keeps_the_password_too(
    command: str, tmp_path: Path
) -> None:
    urls = {"REDIS_URL": UNREADABLE_REDIS[0], "DATABASE_URL": UNREADABLE_DATABASES[0]}
    found = run_to_end(*command.split(), cwd=tmp_path, PYTHONPATH=str(ROOT), **urls)
    assert found.exit_code in {1, 2}
    assert PIECES.findall(found.stdout + found.stderr) == []


@pytest.mark.parametrize("option", ["--csv", "--against"])
def test_a_url_in_place_of_a_file_is_refused_without_its_password(
    option: str, tmp_path: Path
) -> None:
    found = run_to_end("replay", str(EVENTS), option, UNREADABLE_DATABASES[0], cwd=tmp_path)
    assert found.exit_code == 2
    assert PIECES.findall(found.stdout + found.stderr) == []
