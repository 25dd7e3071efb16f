"""The log stream is an interface, and this is its page: every line, its keys, what it says.

Lines. One JSON object a line on stdout (on a terminal readable text, see CONDUCTOR_LOG_FORMAT).
Each has `timestamp` (UTC, ISO 8601), `level` (debug, info, warning, error) and `event`, one of the
names below; `actor`, `tenant` and `session` where they apply. Units stand in key names: `_s`
seconds, `_ms` milliseconds since 1970, `_per_s` a rate, `_share` a part of one. A line tells of a
batch or a change of state, never of a single event; texts and ids of users are never in it.

Where. The service's stdout; and, unless CONDUCTOR_LOG_STREAM is false, the newest 10,000 lines in
Redis: stream `conductor:log`, one field `line`. It never holds the service up: while Redis is away
lines wait, past 10,000 they are dropped, and `log_lines_dropped` says how many. A text there is cut
after 4,000 characters.

Versions. `vocabulary` in `service_started` and `service_stats` is `VERSION`. It grows when a line
or a key goes away or means something else; new ones may come at any time, so ignore what you don't
know. A test holds this list against the code.

What `inspect` shows comes from: `service_started`, `service_stats`, `drain_began`,
`service_stopped`; `actor_stats`, `session_stats`, `tenant_stats` (every 5 s); `actor_started`,
`actor_stopped`, `actor_failed`, `actor_restarted`, `restarts_exhausted`, `session_quarantined`,
`session_released`, `handler_slow`, `message_traced`; `events_routed`, `events_invalid`,
`gap_detected`, `tick_completed`, `batch_written`, `rows_refused`, `updates_dropped`;
`outage_began`, `outage_continues`, `outage_ended`; `log_lines_dropped`. In `session_stats` and
`tenant_stats` stand lists, `sessions` and `tenants`, whose keys are `SESSION_KEYS` and
`TENANT_KEYS`: figures are those of the last 5 s, `handled_per_s` counts messages (a batch of
events, or a tick), `busy_share` is the share of one thread's time. Sessions are those that lead in
mailbox depth, age of the oldest message, messages or time, and those that don't run: a hundred at
most; of tenants fifty.

`python -m conductor_actors inspect --once --json` gives all of it as one document, whose keys are
described in `inspection/report.py`.

Traces. `python -m conductor_actors inspect session TENANT/ID --trace` has a service tell every
message that one session handles, for 60 s: `trace_began`, `message_traced`, `trace_ended`. In
`message_traced`, `kind` is EventBatch (`events`, and how many of each of `kinds`), Tick
(`tick_at_ms`, and the `score` if there was a row), Capture, Passivate, Describe or Trace;
`duration_s` is how long it was handled, `has_failed` that its handler raised. There are 20 lines a
second at most; `suppressed` messages were left out before a line.

Questions. Without `--trace` the service answers what it knows of the session, by message before all
its mail; `--json` prints the answer, whose keys are described in `domain/inquiries.py`. On the wire
a request is `PUBLISH conductor:requests '{"id": "<hex>", "tenant": …, "session": …}'`, with
`trace_s` for a trace; each collector that hears it leaves one answer in the list
`conductor:answer:<id>`, for a minute: `is_known` is true for the one that has the session.

Examples. `log` stands for what prints the lines: `python -m conductor_actors`, a file, or
`redis-cli --raw XRANGE conductor:log - + | grep '^{'`.

Sessions that failed, and of what:
    log | jq -r 'select(.event == "actor_failed" and .session) | [.tenant, .session, .error] | @tsv'

How late each tick came, in seconds:
    log | jq -c 'select(.event == "tick_completed") | [.tick_at_ms, .lag_s, .duration_s]'

The session that keeps a thread busiest, every 5 s:
    log | jq -c 'select(.event == "session_stats") | .sessions | max_by(.busy_share)'

What kinds of messages a traced session spent its time on, in seconds, once the log has ended:
    log | jq -sc 'map(select(.event == "message_traced")) | group_by(.kind)[]
        | {kind: .[0].kind, seconds: map(.duration_s) | add}'

Events that were lost, by tenant, once the log has ended:
    log | jq -sc 'map(select(.event == "gap_detected")) | group_by(.tenant)[]
        | {tenant: .[0].tenant, lost: map(.lost_events // 0) | add}'
"""

from typing import Final, NamedTuple

VERSION: Final = 1  # a key or a line was taken away or means something else: one more

ALWAYS: Final = ("actor", "tenant", "session", "shard")  # bound where they apply, to any line

# What is said of each session and of each tenant in the lists of two lines.
SESSION_KEYS: Final = (
    *("tenant", "session", "state", "mailbox_depth"),
    *("handled_per_s", "busy_share", "oldest_s", "refused"),
)
TENANT_KEYS: Final = (
    *("tenant", "sessions", "quarantined", "mailbox_depth"),
    *("handled_per_s", "busy_share", "oldest_s", "refused"),
)
LISTS: Final = ("session_stats", "tenant_stats")  # too long for a person who reads the log as text


class Line(NamedTuple):
    """What a line says, and the keys it may have beside the ones that every line has."""

    meaning: str
    keys: frozenset[str]


def _line(meaning: str, *keys: str) -> Line:
    return Line(meaning, frozenset(keys))


VOCABULARY: Final[dict[str, Line]] = {
    # The service
    "service_started": _line(
        "events are being read", "version", "vocabulary", "tenants", "transport"
    ),
    "service_stats": _line(
        "every 5 s, what it is and how it is doing", "version", "vocabulary", "uptime_s", "cpu_s"
    ),
    "shard_started": _line("a process of several begins; or the dashboard's", "shard", "pid"),
    "shard_stopped": _line(
        "it has ended; unless it was asked to, it is started again", "shard", "pid", "exit_code"
    ),
    "shard_killed": _line(
        "it did not drain within 20 s; what it had not stored is read again at the next start",
        "shard",
        "pid",
    ),
    "sessions_reshared": _line(
        "another number of collectors share the sessions from now on",
        "old_shards",
        "new_shards",
        "sessions",
        "duration_s",
    ),
    "service_stopped": _line("everything was drained", "duration_s", "exit_code"),
    "drain_began": _line("a signal came: nothing more is read", "within_s"),
    "drain_incomplete": _line(
        "time was up before everything was handled; what was left",
        *("session_messages", "rows", "updates"),
    ),
    "migration_applied": _line(
        "the database's tables were brought up to date", "name", "duration_s"
    ),
    "lease_awaited": _line(
        "another process has these events; this one stands by", "owner", "waited_s"
    ),
    "ownership_lost": _line("another process took these events over; this one ends", "reason"),
    # Own servers
    "server_started": _line("an own server answers", "server", "pid", "port", "duration_s"),
    "server_stopped": _line(
        "an own server is gone", *("server", "pid", "port", "duration_s", "signal")
    ),
    "orphan_stopped": _line("a killed process had left a server running", "pid", "signal"),
    "folder_opened": _line("made a folder passable for the database's account", "path"),
    # Actors
    "actor_started": _line("an actor begins its life", "actor", "tenant", "session"),
    "actor_stopped": _line("an actor stopped as asked", "actor", "tenant", "session"),
    "actor_failed": _line(
        "an actor died of a bug", "actor", "tenant", "session", "error", "exc_info"
    ),
    "actor_restarted": _line("it goes on with the state from before", "actor", "tenant", "session"),
    "restarts_exhausted": _line("it failed too often; the process ends", "actor", "restarts"),
    "session_quarantined": _line(
        "a session failed too often and is left alone", "actor", "tenant", "session", "for_s"
    ),
    "session_released": _line(
        "a session's quarantine is over", "actor", "tenant", "session", "lost_messages"
    ),
    "sessions_unfinished": _line("sessions did not finish while draining", "messages"),
    "handler_slow": _line(
        "a session has been on its thread for over 1 s", "name", "running_s", "stack"
    ),
    "actor_stats": _line(
        "every 5 s, how each kind of actor is doing",
        *("kind", "count", "mailbox_depth", "handled", "oldest_s", "failures"),
        *("quarantined", "refused"),
    ),
    "session_stats": _line(
        "every 5 s, how many sessions there are, and a list of those most worth a look",
        *("count", "sessions"),
    ),
    "tenant_stats": _line(
        "every 5 s, how many tenants have sessions, and a list of the busiest", "count", "tenants"
    ),
    # Traces, which `inspect session TENANT/ID --trace` asks for
    "trace_began": _line(
        "every message of a session is told from now on", "actor", "tenant", "session", "for_s"
    ),
    "message_traced": _line(
        "a session handled a message; what does not belong to its kind is null or nothing",
        *("actor", "tenant", "session", "kind", "events", "kinds", "tick_at_ms", "score"),
        *("duration_s", "mailbox_depth", "has_failed", "suppressed"),
    ),
    "trace_ended": _line(
        "so many messages were handled, of which so many were not told",
        *("actor", "tenant", "session", "messages", "suppressed"),
    ),
    # Events in
    "events_read": _line(
        "once a second, at the level debug: since the last such line, and how far behind Redis",
        *("entries", "lag_s"),
    ),
    "events_routed": _line("since the last such line", "events", "skipped", "sessions"),
    "events_invalid": _line("since the last such line", "source", "reason", "events"),
    "stream_unreadable": _line(
        "a name is taken by another kind of key and left out; `streams` counts them; every minute",
        *("source", "kind", "streams"),
    ),
    "stream_readable": _line("it is a stream again, or gone", "source", "streams"),
    "events_refused": _line(
        "over a limit of the tenant's, or of a session's; since the last such line",
        *("tenant", "reason", "events"),
    ),
    "gap_detected": _line(
        "events were published that were never read", "tenant", "reason", "lost_events"
    ),
    # Checkpoints
    "checkpoint_loaded": _line(
        "it goes on where the last owner was", "number", "sessions", "size_bytes", "duration_s"
    ),
    "checkpoint_committed": _line(
        "everything up to here is durable",
        *("number", "sessions", "ended", "size_bytes", "duration_s"),
    ),
    "checkpoint_postponed": _line("what it would have held will be in the next", "reason"),
    # Scores out
    "tick_completed": _line(
        "every session was scored", "tick_at_ms", "sessions", "duration_s", "lag_s"
    ),
    "batch_written": _line("rows were stored", "rows", "new_rows", "duration_s"),
    "rows_set_aside": _line(
        "rows wait in the outbox: memory is full, a checkpoint flushes, or the writer stops",
        *("rows", "reason"),
    ),
    "outbox_found": _line("rows of a predecessor wait to be written", "entries"),
    "outbox_drained": _line("every row that waited in the outbox is stored", "rows", "duration_s"),
    "outbox_entry_unreadable": _line("it is left in the outbox", "entry_id", "advice"),
    "rows_refused": _line("the database refuses these rows for good", "rows", "reason"),
    "rows_expired": _line("retention let go of rows or chunks", "dropped", "older_than_days"),
    "updates_published": _line(
        "a batch was announced; at the level debug", "updates", "duration_s"
    ),
    "updates_dropped": _line("Redis was away; late updates are dropped", "updates", "dead_letters"),
    "log_lines_dropped": _line("the stream of these lines missed some", "lines"),
    # The dashboard
    "dashboard_started": _line("the page can be opened", "address", "needs_token"),
    "dashboard_stopped": _line("every connection was closed"),
    "dashboard_failed": _line("it died of a bug; the process ends"),
    "library_complained": _line(
        "a library met what it did not expect, often of a client; once a minute for each place",
        *("library", "message", "error", "repeats"),
    ),
    # The outside world
    "database_connected": _line("which edition is used", "edition", "postgresql", "timescaledb"),
    "extension_created": _line("TimescaleDB was set up in this database", "extension"),
    "extension_refused": _line(
        "no right to set it up; plain tables are used", "extension", "reason"
    ),
    "simulation_interrupted": _line("Redis is away; simulated events are lost", "error"),
    "simulation_resumed": _line("simulated events go on"),
    "outage_began": _line("a service is away; it is tried again", "service", "error"),
    "outage_continues": _line("it is still away", "service", "error", "lasted_s"),
    "outage_ended": _line("it is back", "service", "lasted_s"),
}
