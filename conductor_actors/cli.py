"""The command line: the commands with their options and help texts.

Exit codes: 0 success; 1 a check failed or a server is unavailable; 2 a setting or an option is
wrong; 70 a bug; 130 interrupted.
"""

import sys
from typing import Annotated, Final, NoReturn

import typer

from conductor_actors.app.signals import exit_on_stop_signals
from conductor_actors.commands import (
    cluster_commands,
    dead_letters,
    inspect,
    launch,
    webhook_deliveries,
)
from conductor_actors.commands.check import check_servers
from conductor_actors.commands.export_rows import export_rows
from conductor_actors.commands.migrate import migrate_database
from conductor_actors.commands.policy_lines import replay_policy
from conductor_actors.commands.replay import Outputs, replay_recording
from conductor_actors.commands.share_links import print_link
from conductor_actors.commands.terminal import print_stderr, set_encoding
from conductor_actors.commands.verify import verify_recording
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.settings import texts

EXIT_UNAVAILABLE: Final = 1
EXIT_CONFIG: Final = 2
EXIT_INTERRUPTED: Final = 130

app = typer.Typer(
    add_completion=False,
    no_args_is_help=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Score the engagement of event sessions live: read events from Redis, write rows to "
    "TimescaleDB, and publish updates to Redis.\n\nWithout a command, run the service. It is "
    "configured by environment variables or a .env file: REDIS_URL, DATABASE_URL and "
    "CONDUCTOR_*, which `run --help` lists.\n\nIf the two URLs are not set, an embedded Valkey and "
    "PostgreSQL are started. They require:\n\npip install 'conductor-actors[embedded]'",
)
letters_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="List, show and retry events and rows that could not be processed, from the stream "
    "conductor:dead-letters. Bodies may contain what users wrote; no log contains them.",
)
app.add_typer(
    letters_app, name="dead-letters", short_help="List, show and retry what could not be processed."
)


ShardsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=64,
        help="Number of hosts on this machine that share the sessions. Default: CONDUCTOR_SHARDS.",
    ),
]


def main() -> NoReturn:
    """Run a command; print an error that the operator can fix in one line."""
    set_encoding()
    exit_on_stop_signals(EXIT_INTERRUPTED)
    try:
        app()
    except ConfigError as error:
        _fail(error, EXIT_CONFIG)
    except Unavailable as error:
        _fail(error, EXIT_UNAVAILABLE)
    sys.exit(0)


@app.callback(invoke_without_command=True)
def default(context: typer.Context, shards: ShardsOption = None) -> None:
    """Run the service if no command is given."""
    if context.invoked_subcommand is None:
        run(shards)
    elif shards is not None:
        raise ConfigError(
            f"--shards: must follow the command, e.g. {context.invoked_subcommand} --shards 2"
        )


@app.command(
    short_help="Run the service: collector and dashboard. The default.",
    epilog=texts.help_list(),
)
def run(shards: ShardsOption = None) -> None:
    """Run the service: the collector, and the dashboard on port 3002.

    Every 5 s it scores all sessions, writes the rows and publishes the updates.

    SIGTERM and Ctrl-C drain it: it scores the events that were read, writes their rows, and
    exits with 0.
    """
    _exit_with(launch.run(shards))


@app.command(short_help="Run the collector without a dashboard.")
def collect(shards: ShardsOption = None) -> None:
    """Run the collector without a dashboard, for dashboards that run elsewhere.

    It serves /metrics, /health and /ready on CONDUCTOR_METRICS_PORT.
    """
    _exit_with(launch.collect(shards))


@app.command(short_help="Run a dashboard without a collector.")
def dashboard() -> None:
    """Run a dashboard without a collector, which runs elsewhere.

    There may be any number of dashboards.
    """
    _exit_with(launch.dashboard())


@app.command(short_help="Run the service with simulated sessions.")
def demo(
    sessions: Annotated[
        int, typer.Option(min=1, max=1000, help="Number of simulated sessions.")
    ] = 8,
) -> None:
    """Run the service with simulated sessions, and show their scores on the terminal.

    It needs no servers: without REDIS_URL and DATABASE_URL it starts embedded ones. If REDIS_URL
    is set, the simulated events are added to that Redis. Ctrl-C stops it.
    """
    _exit_with(launch.demo(sessions))


@app.command(short_help="Create or update the tables in the database.")
def migrate() -> None:
    """Create the tables in the database, or update them to this version.

    The service does the same when it starts.
    """
    migrate_database()


@app.command(short_help="Check whether Redis and the database can be used.")
def check() -> None:
    """Check whether Redis and the database can be used.

    It prints a line for each check; if one fails, the exit code is 1.
    """
    _exit_with(0 if check_servers() else 1)


@app.command(short_help="Score recorded events again.")
def replay(  # noqa: PLR0913, PLR0917 - each is an option
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A file of recorded events, or redis://… to read the streams there. Each line of "
            'a file is an event: {"id": "<ms>-<n>", "name": …, "data": {…}}',
        ),
    ],
    csv: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write the rows to this CSV file; - is stdout."),
    ] = None,
    anomalies: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Write the anomalies to this file, as JSON lines; - is stdout."
        ),
    ] = None,
    first: Annotated[
        str,
        typer.Option(
            "--from", metavar="ID", help="First stream entry: its id, or an ISO 8601 time (UTC)."
        ),
    ] = "-",
    last: Annotated[
        str,
        typer.Option(
            "--to", metavar="ID", help="Last stream entry: its id, or an ISO 8601 time (UTC)."
        ),
    ] = "+",
    against: Annotated[
        str | None,
        typer.Option(
            metavar="database|FILE",
            help="Compare the rows with those in the database or a CSV file, and write none.",
        ),
    ] = None,
    cold_start: Annotated[
        bool,
        typer.Option(
            "--cold-start",
            help="With --against: the service, too, began to read at --from. Sessions that began "
            "before are compared from one window after it.",
        ),
    ] = False,
) -> None:
    """Score recorded events again, as fast as possible, and write the rows to the database or CSV.

    The settings must be those of the service. Rows that are in the database already do not change,
    nor do anomalies. With --csv or --anomalies nothing is written to the database. A line of
    --anomalies is what the service publishes, with its name as the key "name": anomaly:detected
    or anomaly:ended.

    --against compares the rows instead, and with the database the anomalies, too: it prints how
    many are missing, different or unexpected, and the first difference. If there are any, the exit
    code is 1. Of the column metadata of rows nothing is compared.

    Rows that may depend on events outside of the recording are not compared either; stderr shows
    how many. These are the rows of the last tick, unless the recording continues after it (a file
    ends with its last entry, or at --to). With --from they are also all rows of the first 6
    hours (the presence timeout), and later rows of sessions that were active in that time. The
    anomalies of sessions that have such early rows are not compared.

    Quarantines, and events that came by pub/sub, can't be replayed. A running service writes rows
    a little later than their events: use --to.
    """
    outputs = Outputs(csv, anomalies)
    if against is None:
        replay_recording(source, first, last, outputs)
    elif not any(outputs):
        is_equal = verify_recording(source, first, last, against, cold_start=cold_start)
        _exit_with(0 if is_equal else 1)
    else:
        named = "--csv" if csv is not None else "--anomalies"
        raise ConfigError(f"{named} and --against: choose one")


@app.command(short_help="Replay anomalies and outcomes into the conductor's choices and effects.")
def policy(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="JSON lines as described; - is stdin.")
    ],
) -> None:
    """Replay anomalies and outcomes into the choices and effects that follow from them.

    Use it to check the conductor against a calculation of your own. Servers are not used. Each line
    of the file is an anomaly, or the outcome of an earlier one, in the order in which they happen:

    {"anomaly": {"id": "a1", "type": "SUDDEN_DROP", "before": 0.41}}

    {"outcome": {"anomalyId": "a1", "after": 0.33}}

    Scores are 0 to 1: "before" at the anomaly, "after" the mean of 30 to 120 s later. An anomaly
    may have "tenant" (default: default), and "allowed", the types of action that can be chosen
    (default: all four).

    For each anomaly it prints {"decision": {"anomalyId", "tenant", "policyVersion",
    "probabilities", "draw", "choice"}}. Probabilities and draw are in millionths: the types share
    0 to 1,000,000 in the order HOLD, POLL, BROADCAST, NOTIFICATION, GAMIFICATION, and that which
    contains the draw is chosen. The draw follows from the id and CONDUCTOR_DECISION_SALT. The
    policy's version is the number of outcomes before.

    At the end it prints for each tenant and type {"tenant", "effect": {"type", "origin", "n",
    "n_hold", "effect", "low", "high", "needed"}}: the difference to doing nothing with its 95 %
    interval. They are null while "needed" more trials are missing.

    A line that is wrong ends it with exit code 2 and the number of the line.
    """
    replay_policy(file)


app.command("export", short_help="Write stored rows to a file: CSV, JSON lines or Parquet.")(
    export_rows
)
app.command("token", short_help="Print a link with a token, which opens a session or event.")(
    print_link
)


@letters_app.command("list", short_help="List dead letters, the newest first.")
def list_letters(
    reason: Annotated[str, typer.Option(help="List those with this reason.")] = "",
    source: Annotated[str, typer.Option(help="List those whose source begins with this.")] = "",
    limit: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Maximum number of dead letters.")
    ] = 50,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object for each line.")
    ] = False,
) -> None:
    """List dead letters, the newest first: id, time, source, entry, reason, start of the body.

    The source is the name of a stream or channel; session:TENANT/ID if the handler of an event
    raised an error; row:TENANT/SESSION if the database refused a row.
    """
    letter_filter = dead_letters.LetterFilter(reason, source)
    with dead_letters.open_letters() as (letters, _):
        dead_letters.print_list(letters, letter_filter, limit, as_json=as_json)


@letters_app.command("show", short_help="Show one dead letter.")
def show_letter(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, as listed.")],
) -> None:
    """Show everything that is stored of a dead letter, with the first 256 bytes of its body."""
    with dead_letters.open_letters() as (letters, _):
        dead_letters.print_one(letters, letter_id)


@letters_app.command("retry", short_help="Send the events of dead letters again.")
def retry_letters(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Ids of dead letters, as listed.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Retry all dead letters.")] = False,
    reason: Annotated[
        str, typer.Option(help="With --all: retry only those with this reason.")
    ] = "",
) -> None:
    """Add the events of dead letters to their streams again, and delete the dead letters.

    Each is added as a new event: it counts now, not at its original time. An event that was
    trimmed from its stream, and a row that the database refused, can't be sent again: such dead
    letters stay, stderr shows the reasons, and the exit code is 1.
    """
    if bool(ids) == everything or (reason and not everything):
        raise ConfigError(
            "dead-letters retry: name letters by ID, or use --all, with or without --reason"
        )
    _exit_with(1 if dead_letters.retry_letters(ids or [], reason) else 0)


app.add_typer(
    cluster_commands.app,
    name="cluster",
    short_help="Run the service on the nodes of a Ray cluster.",
)
app.add_typer(
    inspect.app, name="inspect", short_help="Show the actors live; describe or trace a session."
)
app.add_typer(
    webhook_deliveries.app,
    name="webhooks",
    short_help="List, retry and test what is sent to webhooks.",
)


def _exit_with(exit_code: int) -> None:
    if exit_code:
        raise typer.Exit(exit_code)


def _fail(error: Exception, exit_code: int) -> NoReturn:
    print_stderr(f"conductor_actors: {error}")
    sys.exit(exit_code)
