"""The command line.

Exit codes: 0 as asked, 1 a check failed or a server is away, 2 a setting is wrong, 70 a bug.
"""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated, Final, NoReturn, TextIO

import typer

from conductor_actors import log_events
from conductor_actors.adapters.embedded.servers import EmbeddedServers
from conductor_actors.adapters.postgres import migrations
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.adapters.redis import access_check
from conductor_actors.adapters.redis.dead_letter_stream import DeadLetterStream
from conductor_actors.app import process_group, sharding
from conductor_actors.app.process_group import ProcessGroup
from conductor_actors.app.service import DashboardAlone, Service
from conductor_actors.app.sharding import Urls
from conductor_actors.app.signals import leaving_with, until_stopped
from conductor_actors.commands import dead_letters, inspect, verify
from conductor_actors.commands.demo.background import simulate_and_show
from conductor_actors.commands.demo.environment import log_to_file, with_free_ports
from conductor_actors.commands.recording import Recording, open_recording
from conductor_actors.commands.replay import replay_to_csv, replay_to_database
from conductor_actors.commands.terminal import print_stderr
from conductor_actors.domain.comparison import StoredRows
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.observability import logs, probes
from conductor_actors.observability.lifecycle import LifecycleTracker
from conductor_actors.observability.metrics import CollectorMetrics
from conductor_actors.settings import Settings, load_settings, texts

EXIT_INTERRUPTED: Final = 130

app = typer.Typer(
    add_completion=False,
    no_args_is_help=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Live engagement scores for event sessions: events from Redis in, rows in TimescaleDB "
    "and updates in Redis out.\n\nWithout a command it runs the service. It is configured by "
    "environment variables, or a .env file: REDIS_URL, DATABASE_URL and CONDUCTOR_*, which "
    "`run --help` lists. Without the two URLs it starts an embedded Valkey and PostgreSQL, "
    "which require: pip install 'conductor-actors[embedded]'",
)
letters_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Look at what could not be handled (the stream conductor:dead-letters), and send it once "
    "more. Bodies may hold what people wrote: they are shown here, and in no log.",
)
app.add_typer(letters_app, name="dead-letters", short_help="See what failed; send it again.")


Shards = Annotated[
    int | None,
    typer.Option(
        min=1, max=64, help="How many collector processes share the sessions (CONDUCTOR_SHARDS)."
    ),
]


def main() -> NoReturn:
    """Run a command; say what the operator must change in one line, and exit with 2."""
    leaving_with(EXIT_INTERRUPTED)
    process_group.drain_with_parent()
    try:
        app()
    except ConfigError as error:
        _fail(str(error), 2)
    except Unavailable as error:
        _fail(str(error), 1)
    sys.exit(0)


@app.callback(invoke_without_command=True)
def default(context: typer.Context, shards: Shards = None) -> None:
    """Run the service when no command is given."""
    if context.invoked_subcommand is None:
        run(shards)
    elif shards is not None:
        raise ConfigError(f"--shards: goes behind the command: {context.invoked_subcommand}")


@app.command(
    short_help="Run the service; this is what happens without a command.",
    epilog=texts.help_list(),
)
def run(shards: Shards = None) -> None:
    """Run the service: score every session every 5 s, store, announce and show it on port 3002.

    SIGTERM or Ctrl-C drains it: what was read is scored and stored, and it exits with 0.
    """
    if _shared(shards, with_dashboard=True):
        return
    settings = _configured(sys.stdout, CollectorMetrics())
    leaving_with(0)
    with servers(settings) as urls:
        _reshare(settings, urls, 1)
        _exit_with(until_stopped(Service(settings, urls.redis, urls.database)))


@app.command(short_help="Run the collector alone.")
def collect(
    shards: Shards = None,
    until_ms: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run the collector alone, for dashboards that run elsewhere.

    Beside /metrics it answers /health and /ready on CONDUCTOR_METRICS_PORT.
    """
    if _shared(shards, with_dashboard=False):
        return
    lifecycle = LifecycleTracker()
    log_events.subscribe(lifecycle.observe)
    settings = _configured(sys.stdout, CollectorMetrics())
    leaving_with(0)
    with (
        servers(settings) as urls,
        probes.serve_probes(settings.metrics_host, settings.metrics_port, lifecycle.status),
    ):
        _reshare(settings, urls, 1)
        collector = Service(
            settings, urls.redis, urls.database, with_dashboard=False, until_ms=until_ms
        )
        _exit_with(until_stopped(collector))


@app.command(short_help="Run the dashboard alone.")
def dashboard() -> None:
    """Run the dashboard alone, any number of times, for a collector that runs elsewhere."""
    settings = _configured(sys.stdout)
    leaving_with(0)
    with servers(settings) as urls:
        _exit_with(until_stopped(DashboardAlone(settings, urls.redis, urls.database)))


@app.command("demo", short_help="Run the service with simulated sessions.")
def demonstrate(
    sessions: Annotated[int, typer.Option(min=1, max=1000, help="How many to simulate.")] = 8,
) -> None:
    """Run the service with simulated sessions, and show on the terminal what is scored.

    Needs no server: without REDIS_URL and DATABASE_URL it starts its own. Where REDIS_URL is set,
    the simulated events go there. Ctrl-C stops it.
    """
    settings = with_free_ports(load_settings())
    leaving_with(0)
    with log_to_file(settings), servers(settings) as urls:
        service = Service(settings, urls.redis, urls.database)
        with simulate_and_show(urls.redis, sessions, settings, service.stop):
            exit_code = until_stopped(service)
    _exit_with(exit_code)


@app.command(short_help="Create or update the tables in the database.")
def migrate() -> None:
    """Create the tables in the database, or bring them up to date, then stop.

    The service does the same at its start.
    """
    settings = _configured(sys.stderr)
    with servers(settings, redis=False) as urls:
        applied = migrations.migrate(urls.database)
    for name in applied:
        typer.echo(f"applied {name}")
    typer.echo("the tables are up to date")


@app.command(short_help="Change how many collectors share the sessions.")
def reshard(shards: Shards = None) -> None:
    """Distribute the sessions to another number of collectors, all of which are stopped; then stop.

    `run` and `collect` do the same at their start. This is for collectors that something else
    starts, each with its CONDUCTOR_SHARD.
    """
    settings = _configured(sys.stdout)
    leaving_with(0)
    count = settings.shards if shards is None else shards
    with servers(settings) as urls:
        _reshare(settings, urls, count)
    print_stderr(f"the sessions are shared by {count}")


@app.command(short_help="Say whether Redis and the database can be used.")
def check() -> None:
    """Check whether Redis and the database can be used: one line each, exit 1 if not."""
    settings = _configured(sys.stderr)
    with servers(settings) as urls:
        findings = [
            *access_check.check(urls.redis, settings.transport, settings.tenants),
            *PostgresRowStore(urls.database).check(),
        ]
    for finding in findings:
        typer.echo(f"{'ok    ' if finding.ok else 'WRONG '} {finding.line}")
    _exit_with(0 if all(finding.ok for finding in findings) else 1)


@app.command(short_help="Score recorded events again.")
def replay(  # noqa: PLR0913, PLR0917 - each is an option
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A file of recorded events, or redis://… to read the streams there. A file has "
            'one event a line: {"id": "<ms>-<n>", "name": …, "data": {…}}',
        ),
    ],
    csv: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write rows to this CSV file (- is stdout)."),
    ] = None,
    first: Annotated[
        str,
        typer.Option(
            "--from", metavar="ID", help="First stream entry id, or a time in ISO 8601 (UTC)."
        ),
    ] = "-",
    last: Annotated[
        str,
        typer.Option(
            "--to", metavar="ID", help="Last stream entry id, or a time in ISO 8601 (UTC)."
        ),
    ] = "+",
    against: Annotated[
        str | None,
        typer.Option(
            metavar="database|FILE",
            help="Compare the rows with those in the database, or in a CSV file, writing none.",
        ),
    ] = None,
    cold_start: Annotated[
        bool,
        typer.Option(
            "--cold-start",
            help="The service began to read at --from, too: compare sessions that began before, "
            "from one window after it.",
        ),
    ] = False,
) -> None:
    """Score recorded events again, as fast as possible: rows go to the database, or to CSV.

    Rows that the database has already stay as they are. Settings must be those of the service.

    --against compares instead: it prints how many rows are missing, different or unexpected, and
    the first of them, and exits with 1 if there are any. metadata is not compared. Neither are
    rows whose events may not all be in the recording, and stderr says how many: rows of the last
    tick, unless the recording goes on past it (a file does until its last entry, or --to), and
    with --from those of the first 30 minutes (the session timeout), and later those of sessions
    that live since then, because they may have begun before. A session's quarantine and events
    that came by pub/sub can't be replayed. The rows of a running service come a little later
    than their events: give --to.
    """
    settings = _configured(sys.stderr)
    if csv is not None and against is not None:
        raise ConfigError("--csv and --against: choose one")
    with open_recording(source, settings, first, last) as recording:
        if csv is not None:
            replay_to_csv(recording, settings, csv)
        elif against is None:
            with servers(settings, redis=False) as urls:
                replay_to_database(recording, settings, urls.database)
        elif against == "database":
            with servers(settings, redis=False) as urls:
                stored = verify.read_database_rows(recording, urls.database)
                _compare(recording, settings, stored, cold_start=cold_start)
        else:
            stored = verify.read_csv_rows(recording, against)
            _compare(recording, settings, stored, cold_start=cold_start)


@letters_app.command("list", short_help="List dead letters, the newest first.")
def list_letters(
    reason: Annotated[str, typer.Option(help="Only those of this reason.")] = "",
    source: Annotated[str, typer.Option(help="Only those whose source begins so.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List dead letters, the newest first: id, time, source, entry, reason, how the body begins.

    A source is the name of a stream or channel, session:TENANT/ID where a handler raised, or
    row:TENANT/SESSION where the database refused a row.
    """
    letter_filter = dead_letters.LetterFilter(reason, source)
    with _letters() as (letters, _):
        dead_letters.print_list(letters, letter_filter, limit, as_json=as_json)


@letters_app.command("show", short_help="Show one dead letter.")
def show_letter(letter_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Show all that is kept of a dead letter: of its body the first 256 bytes."""
    with _letters() as (letters, _):
        dead_letters.print_one(letters, letter_id)


@letters_app.command("retry", short_help="Send dead letters' originals again.")
def retry_letters(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Letters, as listed.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All there are now.")] = False,
    reason: Annotated[str, typer.Option(help="With --all: only those of this reason.")] = "",
) -> None:
    """Add the originals of dead letters to their streams again, and remove the letters.

    What is sent again is a new event: it counts now, not when it came first. An original that was
    trimmed from its stream can't be sent, nor can a row that the database refused: such letters
    stay, stderr says why, and the exit code is 1.
    """
    if bool(ids) == everything or (reason and not everything):
        raise ConfigError(
            "dead-letters retry: name letters by ID, or use --all, with or without --reason"
        )
    with _letters() as (letters, settings):
        matching = dead_letters.LetterFilter(reason).select(letters.oldest_first())
        chosen = dead_letters.find_letters(letters, ids) if ids else matching
        left = dead_letters.retry(letters, chosen, settings.max_event_bytes)
    _exit_with(1 if left else 0)


@contextmanager
def _letters() -> Iterator[tuple[DeadLetterStream, Settings]]:
    settings = _configured(sys.stderr)
    with (
        servers(settings, database=False) as urls,
        closing(DeadLetterStream(urls.redis)) as letters,
    ):
        yield letters, settings


def _compare(
    recording: Recording, settings: Settings, stored: StoredRows, *, cold_start: bool
) -> None:
    comparison = verify.compare(recording, settings, stored, cold_start=cold_start)
    for line in verify.result_lines(comparison):
        typer.echo(line)
    _exit_with(0 if comparison.is_equal else 1)


app.add_typer(
    inspect.app, name="inspect", short_help="Show the actors, live; ask about one session."
)


@contextmanager
def servers(settings: Settings, *, redis: bool = True, database: bool = True) -> Iterator[Urls]:
    """Provide the servers' URLs; start embedded servers for those that are not set."""
    with EmbeddedServers(settings.state_dir) as embedded:
        redis_url, database_url = settings.redis_url, settings.database_url
        if redis and redis_url is None:
            redis_url = embedded.start_valkey()
        if database and database_url is None:
            database_url = embedded.start_postgres()
        yield Urls(redis_url or "", database_url or "")


def _configured(stream: TextIO, metrics: CollectorMetrics | None = None) -> Settings:
    settings = load_settings()
    if metrics is not None:
        log_events.subscribe(metrics.observe)
    logs.configure(settings.log_level, settings.log_format, stream, settings.shard)
    return settings


def _shared(shards: int | None, *, with_dashboard: bool) -> bool:
    """Run as several processes, if that is wanted; tell whether it was."""
    settings = load_settings()
    count = settings.shards if shards is None else shards
    if count == 1 or settings.shard is not None:
        return False
    settings = _configured(sys.stdout)
    leaving_with(0)
    with servers(settings) as urls:
        _reshare(settings, urls, count)
        workers = sharding.collectors(settings, urls, count)
        if with_dashboard:
            workers.append(sharding.dashboard(settings, urls, count))
        _exit_with(until_stopped(ProcessGroup(workers)))
    return True


def _reshare(settings: Settings, urls: Urls, count: int) -> None:
    """Reshard the sessions at the start, unless another process does that."""
    if settings.shard is None:
        _exit_with(sharding.reshared(settings, urls, count, until_stopped))


def _exit_with(code: int) -> None:
    if code:
        raise typer.Exit(code)


def _fail(message: str, code: int) -> NoReturn:
    print_stderr(f"conductor_actors: {message}")
    sys.exit(code)
