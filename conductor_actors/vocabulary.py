"""The log stream's vocabulary: every event name, its keys, and what it says.

The log stream is an interface: one JSON object a line, with `timestamp` (UTC, ISO 8601), `level`
and `event` on every line; `actor`, `tenant` and `session` where they apply. Units stand in key
names: `_s` seconds, `_ms` milliseconds since 1970. A line tells of a batch or a change of state,
never of a single event; texts and ids of users are never in it. A test holds this against the code.
"""

from typing import Final, NamedTuple

ALWAYS: Final = ("actor", "tenant", "session")  # bound where they apply, to any line


class Line(NamedTuple):
    """What a line says, and the keys it may have beside the ones that every line has."""

    meaning: str
    keys: frozenset[str]


def _line(meaning: str, *keys: str) -> Line:
    return Line(meaning, frozenset(keys))


VOCABULARY: Final[dict[str, Line]] = {
    # The service
    "service_started": _line("events are being read", "version", "tenants", "transport"),
    "service_stopped": _line("everything was drained", "duration_s", "exit_code"),
    "drain_began": _line("a signal came: nothing more is read", "within_s"),
    "drain_incomplete": _line(
        "time was up before everything was handled; what was left",
        *("session_messages", "rows", "updates"),
    ),
    "migration_applied": _line(
        "the database's tables were brought up to date", "name", "duration_s"
    ),
    "lease_awaited": _line("another process has these events; is it alive?", "owner", "up_to_s"),
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
    # Events in
    "events_read": _line(
        "once a second, at the level debug: since the last such line, and how far behind Redis",
        *("entries", "lag_s"),
    ),
    "events_routed": _line("since the last such line", "events", "skipped", "sessions"),
    "events_invalid": _line("since the last such line", "source", "reason", "events"),
    "gap_detected": _line(
        "events were published that were never read", "tenant", "reason", "lost_events"
    ),
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
