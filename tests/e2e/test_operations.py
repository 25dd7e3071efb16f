"""The commands of `deploy/OPERATIONS.md`, run on a service whose users are those of `deploy/`."""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from conductor_actors.adapters.embedded.server_process import free_port
from conductor_actors.adapters.postgres import migrations
from conductor_actors.adapters.postgres.migrations import migrate
from conductor_actors.commands import verify
from conductor_actors.commands.inspect.session_text import trace_line
from conductor_actors.domain.comparisons.anomaly_comparison import AnomalyComparison
from conductor_actors.domain.comparisons.intervention_comparison import InterventionComparison
from conductor_actors.domain.comparisons.row_comparison import Comparison, Coverage, Difference
from conductor_actors.simulate import Simulation
from tests.deploy.conftest import PASSWORD, PSQL, ROLES, UserUrl, made, postgres, user_url, valkey
from tests.deploy.files import DEPLOY
from tests.support.databases import migrated_database
from tests.support.documents import OPERATIONS, Example, examples
from tests.support.event_samples import CHAT
from tests.support.log_lines import KINDS, line_with_every_key, make_line
from tests.support.processes import environment
from tests.support.programs import QUICK, Program, running
from tests.support.score_rows import AT_MS, record, row
from tests.support.sentinels import watched_valkeys
from tests.support.shell import Shell, link_files

pytestmark = pytest.mark.xdist_group("operations")  # the examples share a service, in their order

NAMES, *EXAMPLES = examples(OPERATIONS, "sh")
[POLICY] = [example for example in EXAMPLES if "add_retention_policy" in example.text]
EXAMPLES.remove(POLICY)
[OWN_SCHEMA] = [example for example in EXAMPLES if "CREATE SCHEMA" in example.text]
EXAMPLES.remove(OWN_SCHEMA)
EXAMPLES.append(OWN_SCHEMA)  # last, because the other examples' tables are in another schema
[DIFFERENCE] = [example for example in EXAMPLES if "--against database" in example.text]
[TRACE] = [example for example in EXAMPLES if "--trace" in example.text]
TENANTS: Final = ("acme", "globex")
SETTINGS: Final = QUICK | {
    "CONDUCTOR_SESSION_TIMEOUT_S": "600",  # longer than the examples take
    "CONDUCTOR_TENANTS": ",".join(TENANTS),
}
ADMIN: Final = f"user admin on >{PASSWORD} ~* &* +@all\n"


class Site:
    """Servers with the users of `deploy/`, and what the document's names stand for there."""

    def __init__(
        self, folder: Path, redis_user: UserUrl, superuser_url: str, sentinel_port: int
    ) -> None:
        self.folder = link_files(folder, "deploy")
        self.redis_user = redis_user
        self.superuser_url = superuser_url
        self.sentinel_port = sentinel_port
        self.metrics_port = free_port()
        self.dashboard_port = free_port()
        self.pod = SETTINGS | {
            "REDIS_URL": redis_user("collector"),
            "DATABASE_URL": user_url(superuser_url, "conductor_writer"),
            "CONDUCTOR_METRICS_PORT": f"{self.metrics_port}",
            "CONDUCTOR_TENANT": "acme",  # a misspelt setting
        }

    def dashboard(self) -> dict[str, str]:
        """Return the settings of a dashboard with users of its own."""
        return {
            "REDIS_URL": self.redis_user("dashboard"),
            "DATABASE_URL": user_url(self.superuser_url, "conductor_reader"),
            "CONDUCTOR_HTTP_PORT": f"{self.dashboard_port}",
            "CONDUCTOR_METRICS_PORT": "0",
        }

    def send_events(self) -> None:
        """Send events of six sessions, one that is too large, and a key in a stream's place."""
        with redis.Redis.from_url(self.redis_user("admin")) as client:
            for name, body in Simulation(6, seed=1, tenants=TENANTS).step(0, 60):
                client.xadd(name, {"data": body})
            client.xadd(f"acme:{CHAT}", {"data": b"x" * 70_000})
            client.set("initech:sync-events", "no stream")

    def dead_letter(self) -> str:
        """Return the id of the event that is too large."""
        with redis.Redis.from_url(self.redis_user("admin")) as client:
            letters: Any = client.xrange("conductor:dead-letters")
        return str(letters[0][0].decode())

    def variables(self) -> dict[str, str]:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return {
            "KUBECTL_LOG": str(self.folder / "log"),
            "KUBECTL_POD_LOG": str(self.folder / "pod-log"),
            "KUBECTL_POD": json.dumps(environment(self.pod | {"PATH": path})),
            "OWNER_URL": user_url(self.superuser_url, "conductor_owner"),
            **{f"{role.upper()}_PASSWORD": PASSWORD for role in ROLES},
        }

    def replacements(self, stored_until_ms: int) -> Mapping[str, str]:
        until = datetime.fromtimestamp(stored_until_ms / 1000, UTC)
        newest = max(migration.number for migration in migrations.load())
        return {
            "PASSWORD": PASSWORD,
            "ADMIN": "admin",
            "HOST:6379": _address(self.redis_user("admin")),
            "HOST:5432": _address(self.superuser_url),
            "localhost:9464": f"localhost:{self.metrics_port}",
            "localhost:3002": f"localhost:{self.dashboard_port}",
            "SENTINEL -p 26379": f"127.0.0.1 -p {self.sentinel_port}",
            "NUMBER": f"{newest - 1}",
            "--for 10": "--for 2",
            "--to 2026-01-04T12:05": f"--to {until:%Y-%m-%dT%H:%M:%S}",
            "1795369280368-0": self.dead_letter(),
            "/backups/": f"{self.folder}/",
        }


def _address(url: str) -> str:
    return f"{urlsplit(url).hostname}:{urlsplit(url).port}"


def all_lines() -> bytes:
    """Return one line of each event that is logged by default, with every key that it may have."""
    lines = {
        name: line_with_every_key(name) for name, kind in KINDS.items() if kind.level != "debug"
    }
    updates = lines["outage_began"].replace(b'"service": "text"', b'"service": "redis updates"')
    return b"\n".join([*lines.values(), updates, b""])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    users = folder / "users"
    users.mkdir()
    (users / "redis.acl").write_text((DEPLOY / "redis.acl").read_text() + ADMIN)
    with ExitStack() as stack:
        redis_user = stack.enter_context(valkey(folder, users))
        superuser_url = stack.enter_context(postgres())
        stack.enter_context(made(superuser_url))
        valkeys = stack.enter_context(watched_valkeys())
        yield Site(folder, redis_user, superuser_url, valkeys.sentinels[0].port)


@pytest.fixture(scope="module")
def collector(site: Site) -> Iterator[Program]:
    migrate(user_url(site.superuser_url, "conductor_owner"))
    with running("collect", cwd=site.folder, **site.pod) as program:
        yield program


@pytest.fixture(scope="module")
def dashboard(site: Site, collector: Program) -> Iterator[Program]:
    collector.wait_for("service_started")
    with running("dashboard", cwd=site.folder, **site.dashboard()) as program:
        program.wait_for("dashboard_started")
        yield program


@pytest.fixture(scope="module")
def shell(site: Site, collector: Program, dashboard: Program) -> Shell:
    """Return a shell in which the document's names are those of the site."""
    assert not dashboard.has_ended
    site.send_events()
    collector.wait_for("events_invalid")
    tick = collector.wait_for("tick_completed", sessions=6)
    collector.wait_for("batch_written")
    collector.wait_for("session_stats")
    (site.folder / "log").write_bytes(all_lines())
    (site.folder / "pod-log").write_text("".join(collector.output))
    shell = Shell(site.folder, site.variables(), Path(PSQL).parent)
    shell.prelude = NAMES.text
    shell.replacements = dict(site.replacements(tick["tick_at_ms"]))
    shell.replace_program("kubectl", sys.executable, "-m", "tests.support.fake_kubectl")
    return shell


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.section)
def test_each_example_does_what_it_says(example: Example, shell: Shell) -> None:
    printed = shell.run(example.text)
    for command, stdout in printed:
        if " jq " in command:
            assert_finds_every_key(command, stdout)
        if command.endswith("ends it"):
            assert list(json.loads(stdout)) == ["id"], stdout
    if example is not DIFFERENCE:
        stdout = "".join(each.stdout for each in printed)
        assert labels(example.output) <= labels(stdout)
        assert headings(example.output) <= headings(stdout)


def assert_finds_every_key(command: str, stdout: str) -> None:
    """Check that a command finds lines, and in one of them at least each key that it names."""
    lines = stdout.splitlines()
    assert lines, command
    assert "null" not in lines, command
    found = [json.loads(line) for line in lines if line.startswith("{")]
    known = [{key for key, value in each.items() if value is not None} for each in found]
    assert all(each.keys() <= set().union(*known) for each in found), command


def labels(text: str) -> set[str]:
    """Return the words that lines begin with."""
    return set(re.findall(r"^[a-z]{3,}\b", text, re.MULTILINE))


def headings(text: str) -> set[str]:
    """Return the headings of tables, without the mark of the one that they are sorted by."""
    lines = text.replace("▾", " ").splitlines()
    return {" ".join(line.split()) for line in lines if "handled/s" in line}


def test_the_example_of_a_difference_is_what_the_command_prints() -> None:
    comparison = Comparison(lambda _: iter(()), Coverage(0, 0))
    comparison.compared, comparison.different = 720_000, 1
    stored = record(row("keynote", AT_MS + 10_000))._replace(total_users=7)
    comparison.first = Difference(stored, stored._replace(total_users=6))
    anomalies = AnomalyComparison(lambda *_: (), Coverage(0, 0))
    anomalies.compared = 15
    interventions = InterventionComparison(lambda *_: (), Coverage(0, 0))
    interventions.compared = 11
    comparisons = verify.Comparisons(comparison, anomalies, interventions)
    assert "\n".join(verify.result_lines(comparisons)) == DIFFERENCE.output


def test_the_example_of_a_trace_is_what_the_command_prints() -> None:
    lines = [
        traced(543, kind="EventBatch", duration_s=26e-6, kinds={"UserLeft": 1, "ChatMessage": 2}),
        traced(1025, kind="Tick", duration_s=33e-6, mailbox_depth=0, score=0.57),
    ]
    assert "\n".join(map(trace_line, lines)) == TRACE.output


def traced(after_ms: int, **keys: Any) -> dict[str, Any]:
    at = datetime(2026, 1, 4, 20, 37, 19, tzinfo=UTC) + timedelta(milliseconds=after_ms)
    line: dict[str, Any] = json.loads(
        make_line("message_traced", at, **{"mailbox_depth": 1} | keys)
    )
    return line


def test_a_retention_policy_is_one_that_timescaledb_knows(
    timescaledb_url: str,
) -> None:
    """The community edition adds it; the Apache edition recognizes and refuses it."""
    with migrated_database(timescaledb_url) as url, psycopg.connect(url) as connection:
        [statement] = re.findall(r'-c "(.*)"', POLICY.text)
        with suppress(psycopg.errors.FeatureNotSupported):
            connection.execute(statement.encode())
