"""How tests are shared out among processes, and the real servers that they talk to.

A server is started once per process, on a free loopback port.
"""

import os
import select
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import hypothesis
import pytest
import redis
from structlog.testing import capture_logs
from structlog.typing import EventDict

from conductor_actors.adapters.embedded.servers import EmbeddedServers
from tests.support.databases import migrated_database, temporary_database

# Time limits of single examples would fail where other programs use the machine, too.
hypothesis.settings.register_profile(
    "any load", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any load")

WORKERS_PER_CORE = 3  # tests that start programs mostly wait for them
TESTS = Path(__file__).parent
NODES = TESTS / "cluster" / "nodes"
E2E = (TESTS / "e2e", TESTS / "faults", TESTS / "dashboard" / "page", NODES)
ONE_BY_ONE = E2E[:2]

# A shell starts background processes with SIGINT ignored, which their children inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

_TIMESCALEDB_URL = "CONDUCTOR_TEST_TIMESCALEDB_URL"


def pytest_configure(config: pytest.Config) -> None:
    """End a process of pytest-xdist at once when the one that started it has been killed."""
    if hasattr(config, "workerinput"):
        parent = os.pidfd_open(os.getppid())

        def end_with_parent() -> None:
            select.select([parent], [], [])
            os.kill(os.getpid(), signal.SIGKILL)

        Thread(target=end_with_parent, daemon=True).start()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many processes run the tests; none but this one for single files."""
    if all(argument.partition("::")[0].endswith(".py") for argument in config.args):
        return 0
    return WORKERS_PER_CORE * len(os.sched_getaffinity(0))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark end-to-end tests by their folder, and run them first, since they take longest.

    A module's tests run in one process, where they share fixtures, unless each takes seconds; those
    of clusters, which use all cores, run one after the other.
    """
    for item in items:
        if _is_in(E2E, item):
            item.add_marker("e2e")
        if not _is_in(ONE_BY_ONE, item):
            item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(key=lambda item: item.get_closest_marker("e2e") is None)


def _group(item: pytest.Item) -> str:
    """Return the folder of tests that need the whole machine, else the module."""
    return "nodes" if _is_in((NODES,), item) else str(item.path.relative_to(TESTS))


def _is_in(folders: Sequence[Path], item: pytest.Item) -> bool:
    return any(folder in item.path.parents for folder in folders)


@pytest.fixture(scope="session")
def embedded_servers() -> Iterator[EmbeddedServers]:
    # Not pytest's own folder: it shuts out the account that runs PostgreSQL when we are root.
    with TemporaryDirectory() as folder, EmbeddedServers(Path(folder)) as servers:
        yield servers


@pytest.fixture(scope="session")
def created_data() -> Iterator[Path]:
    """Create both servers' data once: for PostgreSQL this takes seconds."""
    with TemporaryDirectory() as directory:
        with EmbeddedServers(Path(directory)) as servers:
            servers.start_valkey()
            servers.start_postgres()
        yield Path(directory)


@pytest.fixture
def empty_dir() -> Iterator[Path]:
    """Name a state directory that does not exist yet."""
    # Not pytest's tmp_path: as root, the account that runs PostgreSQL can't pass it.
    with TemporaryDirectory() as directory:
        yield Path(directory).resolve() / 'it\'s the "staté" directory'


@pytest.fixture
def state_dir(empty_dir: Path, created_data: Path) -> Path:
    """Make a state directory with the data of both servers."""
    subprocess.run(["cp", "-a", created_data, empty_dir], check=True)
    return empty_dir


@pytest.fixture(scope="session")
def shared_valkey_url(embedded_servers: EmbeddedServers) -> str:
    """Start the Valkey of this process, which keeps what earlier tests have written.

    For fixtures of a module, which empty it themselves; tests use `valkey_url`.
    """
    return embedded_servers.start_valkey()


@pytest.fixture
def valkey_url(shared_valkey_url: str) -> str:
    """Return the URL of a Valkey that is empty when the test starts."""
    with redis.Redis.from_url(shared_valkey_url) as client:
        client.flushall()
    return shared_valkey_url


@pytest.fixture(scope="session")
def postgres_url(embedded_servers: EmbeddedServers) -> str:
    return embedded_servers.start_postgres()


@pytest.fixture(scope="session")
def timescaledb_url() -> str:
    url = os.environ.get(_TIMESCALEDB_URL)
    if url is not None:
        return url
    how = f"set {_TIMESCALEDB_URL} to a PostgreSQL 15+ that has the extension timescaledb"
    if "CONDUCTOR_TEST_REQUIRE_ALL" in os.environ:
        pytest.fail(how)
    pytest.skip(how)


@pytest.fixture
def log_lines() -> Iterator[list[EventDict]]:
    with capture_logs() as lines:
        yield lines


@pytest.fixture
def redis_client(valkey_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(valkey_url) as client:
        yield client


@pytest.fixture
def fresh_database() -> Iterator[Callable[[str], str]]:
    """Create empty databases: `fresh_database(server_url)` returns the new one's URL."""
    with ExitStack() as stack:
        yield lambda server_url: stack.enter_context(temporary_database(server_url))


@pytest.fixture(scope="session")
def shared_database(postgres_url: str) -> Iterator[str]:
    """Create a database with the tables, for tests whose sessions have ids of their own."""
    with migrated_database(postgres_url) as url:
        yield url


@pytest.fixture(scope="session")
def second_database(postgres_url: str) -> Iterator[str]:
    """Return the URL of another one, for partitions in several databases."""
    with migrated_database(postgres_url) as url:
        yield url
