"""Every log event, once, as a typed struct; and the documentation of the log stream.

The code emits them, metrics count them, `inspect` reads them.

Lines. One JSON object a line on stdout (on a terminal readable text, see CONDUCTOR_LOG_FORMAT).
Each has `timestamp` (UTC, ISO 8601), `level` (debug, info, warning, error) and `event`: the name
of its class in snake case, so `tick_completed` is `TickCompleted`; its keys are the class's fields.
`actor`, `tenant` and `session` stand where they apply, and `exception` where a traceback is known.
Units stand in key names: `_s` seconds, `_ms` milliseconds since 1970, `_per_s` a rate, `_share` a
part of one. A line reports a batch or a change of state, never a single event; texts and ids of
users are never in it.

Clusters. Each line of a process that runs partitions has `host`, its name, and `partition`, such as
`7/64`, if it is about one. What all its partitions report regularly is one line every 5 s for them
together, without `partition`: `service_stats`, `actor_stats`, `session_stats`, `tenant_stats`,
`events_routed`, `tick_completed`, `batch_written`, `checkpoint_committed`, `titles_stored` and
`sessions_summarised`. Amounts and counts in it are added up, delays and ages are the highest, and
`tick_at_ms` is that of the partition which is furthest behind.

Where. The service's stdout, and, unless CONDUCTOR_LOG_STREAM is false, the newest 10,000 lines in
Redis: stream `conductor:log`, one field `line`. Neither ever blocks the service: while nobody reads
stdout 32 MiB of lines wait, while Redis is away 10,000 do; later ones are dropped, and
`log_lines_dropped` says how many. A text in Redis is cut after 4,000 characters.

Versions. `vocabulary` in `service_started` and `service_stats` is `VERSION`. It grows when a line
or a key is removed or changes its meaning; new ones may come at any time, so ignore what you don't
know.

What `inspect` shows comes from: `service_started`, `service_stats`, `drain_began`,
`service_stopped`; `actor_stats`, `session_stats`, `tenant_stats` (every 5 s); `actor_started`,
`actor_stopped`, `actor_failed`, `actor_restarted`, `restarts_exhausted`, `session_quarantined`,
`session_released`, `handler_slow`, `message_traced`; `events_routed`, `events_invalid`,
`event_keys_ignored`, `gap_detected`, `tick_completed`, `batch_written`, `rows_refused`,
`updates_dropped`; `anomaly_detected`, `anomaly_continues`, `anomaly_ended`;
`outage_began`, `outage_continues`, `outage_ended`; `log_lines_dropped`. `session_stats` and
`tenant_stats` have lists, of `SessionFigures` and `TenantFigures`. Sessions are those that lead in
mailbox depth, age of the oldest message, messages or time, and those that don't run: a hundred at
most; of tenants fifty.

`python -m conductor_actors inspect --once --json` prints all of it as one document.

Traces. `python -m conductor_actors inspect session TENANT/ID --trace` makes a service log every
message that one session handles, for 60 s: `trace_began`, `message_traced`, `trace_ended`. In
`message_traced`, `kind` is EventBatch (`events`, and how many of each of `kinds`), Tick
(`tick_at_ms`, and the `score` if there was a row), Snapshot, Passivate or Describe;
`duration_s` is how long it was handled, `has_failed` that its handler raised. There are 20 lines a
second at most; `suppressed` messages were left out before a line.

Descriptions. Without `--trace` the session describes itself before it handles other mail; `--json`
prints the answer. On the wire a request is
`PUBLISH conductor:requests '{"id": "<hex>", "tenant": …, "session": …}'`, with `trace_s` for a
trace; each collector that reads it leaves one answer in the list `conductor:answer:<id>`, for a
minute: `is_known` is true for the one that has the session.

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

Anomalies that began, by tenant and type, once the log has ended:
    log | jq -sc 'map(select(.event == "anomaly_detected")) | group_by([.tenant, .type])[]
        | {tenant: .[0].tenant, type: .[0].type, anomalies: length}'

Events that were lost, by tenant, once the log has ended:
    log | jq -sc 'map(select(.event == "gap_detected")) | group_by(.tenant)[]
        | {tenant: .[0].tenant, lost: map(.lost_events // 0) | add}'
"""

from typing import TypeAlias

from conductor_actors.log_events.actor_events import (
    ActorEvent,
    ActorFailed,
    ActorRestarted,
    ActorStarted,
    ActorStats,
    ActorStopped,
    HandlerSlow,
    MessageTraced,
    RestartsExhausted,
    SessionFigures,
    SessionQuarantined,
    SessionReleased,
    SessionStats,
    SessionsUnfinished,
    TenantFigures,
    TenantStats,
    TraceBegan,
    TraceEnded,
)
from conductor_actors.log_events.anomaly_events import (
    AnomalyContinues,
    AnomalyDetected,
    AnomalyEvent,
    AnomalyOver,
)
from conductor_actors.log_events.cluster_events import ClusterEvent
from conductor_actors.log_events.data_events import (
    BatchWritten,
    BlocksRepeated,
    BlocksRewritten,
    CheckpointAdopted,
    CheckpointCommitted,
    CheckpointLoaded,
    CheckpointPostponed,
    DataEvent,
    EntriesAhead,
    EventKeysIgnored,
    EventsInvalid,
    EventsRead,
    EventsRefused,
    EventsRouted,
    EventsSplit,
    GapDetected,
    LostSessionsEnded,
    MessagesUnreadable,
    OutboxDrained,
    OutboxEntryUnreadable,
    OutboxFound,
    RewindRequested,
    RowsExpired,
    RowsRefused,
    RowsSetAside,
    SessionsSummarised,
    StreamReadable,
    StreamUnreadable,
    TenantIgnored,
    TickBroadcast,
    TickCompleted,
    TitlesRefused,
    TitlesSetAside,
    TitlesStored,
    UpdatesDropped,
    UpdatesPublished,
)
from conductor_actors.log_events.external_events import (
    CommandGiven,
    DashboardFailed,
    DashboardStarted,
    DashboardStopped,
    DatabaseConnected,
    ExportEnded,
    ExtensionCreated,
    ExtensionRefused,
    ExternalEvent,
    LibraryComplained,
    OutageBegan,
    OutageContinues,
    OutageEnded,
    PrimaryChanged,
    PrimaryLost,
    RedisClockStepped,
    RedisClockTrusted,
    RedisOutdated,
    SimulationInterrupted,
    SimulationResumed,
)
from conductor_actors.log_events.intervention_events import (
    ConductorLogEvent,
    DecisionMade,
    InterventionDelivered,
    InterventionGivenUp,
    InterventionMoved,
    InterventionRefused,
    OutcomeMeasured,
    PolicyUpdated,
    TrialsDropped,
)
from conductor_actors.log_events.log_event import (
    NEVER,
    VERSION,
    LogEvent,
    current_partition,
    digested_by,
    emit,
    observed_by,
    of_host,
    of_partition,
    subscribe,
    unsubscribe,
    write,
)
from conductor_actors.log_events.service_events import (
    DrainBegan,
    DrainIncomplete,
    FolderOpened,
    LeaseAwaited,
    LogLinesDropped,
    MigrationApplied,
    NamesShared,
    OwnershipTaken,
    PartitionEnded,
    PartitionStarted,
    ServerStarted,
    ServerStopped,
    ServiceEvent,
    ServiceStarted,
    ServiceStats,
    ServiceStopped,
    SplitterStarted,
    SplitterStopped,
    TicksStalled,
    VariableIgnored,
)
from conductor_actors.log_events.webhook_events import (
    DeliveriesExpired,
    WebhookDelivered,
    WebhookEvent,
    WebhookFailed,
    WebhookGivenUp,
    WebhooksCounted,
)

AnyEvent: TypeAlias = (
    ActorEvent
    | AnomalyEvent
    | ClusterEvent
    | ConductorLogEvent
    | DataEvent
    | ExternalEvent
    | ServiceEvent
    | WebhookEvent
)

__all__ = [
    "NEVER",
    "VERSION",
    "ActorFailed",
    "ActorRestarted",
    "ActorStarted",
    "ActorStats",
    "ActorStopped",
    "AnomalyContinues",
    "AnomalyDetected",
    "AnomalyOver",
    "AnyEvent",
    "BatchWritten",
    "BlocksRepeated",
    "BlocksRewritten",
    "CheckpointAdopted",
    "CheckpointCommitted",
    "CheckpointLoaded",
    "CheckpointPostponed",
    "CommandGiven",
    "DashboardFailed",
    "DashboardStarted",
    "DashboardStopped",
    "DatabaseConnected",
    "DecisionMade",
    "DeliveriesExpired",
    "DrainBegan",
    "DrainIncomplete",
    "EntriesAhead",
    "EventKeysIgnored",
    "EventsInvalid",
    "EventsRead",
    "EventsRefused",
    "EventsRouted",
    "EventsSplit",
    "ExportEnded",
    "ExtensionCreated",
    "ExtensionRefused",
    "FolderOpened",
    "GapDetected",
    "HandlerSlow",
    "InterventionDelivered",
    "InterventionGivenUp",
    "InterventionMoved",
    "InterventionRefused",
    "LeaseAwaited",
    "LibraryComplained",
    "LogEvent",
    "LogLinesDropped",
    "LostSessionsEnded",
    "MessageTraced",
    "MessagesUnreadable",
    "MigrationApplied",
    "NamesShared",
    "OutageBegan",
    "OutageContinues",
    "OutageEnded",
    "OutboxDrained",
    "OutboxEntryUnreadable",
    "OutboxFound",
    "OutcomeMeasured",
    "OwnershipTaken",
    "PartitionEnded",
    "PartitionStarted",
    "PolicyUpdated",
    "PrimaryChanged",
    "PrimaryLost",
    "RedisClockStepped",
    "RedisClockTrusted",
    "RedisOutdated",
    "RestartsExhausted",
    "RewindRequested",
    "RowsExpired",
    "RowsRefused",
    "RowsSetAside",
    "ServerStarted",
    "ServerStopped",
    "ServiceStarted",
    "ServiceStats",
    "ServiceStopped",
    "SessionFigures",
    "SessionQuarantined",
    "SessionReleased",
    "SessionStats",
    "SessionsSummarised",
    "SessionsUnfinished",
    "SimulationInterrupted",
    "SimulationResumed",
    "SplitterStarted",
    "SplitterStopped",
    "StreamReadable",
    "StreamUnreadable",
    "TenantFigures",
    "TenantIgnored",
    "TenantStats",
    "TickBroadcast",
    "TickCompleted",
    "TicksStalled",
    "TitlesRefused",
    "TitlesSetAside",
    "TitlesStored",
    "TraceBegan",
    "TraceEnded",
    "TrialsDropped",
    "UpdatesDropped",
    "UpdatesPublished",
    "VariableIgnored",
    "WebhookDelivered",
    "WebhookFailed",
    "WebhookGivenUp",
    "WebhooksCounted",
    "current_partition",
    "digested_by",
    "emit",
    "observed_by",
    "of_host",
    "of_partition",
    "subscribe",
    "unsubscribe",
    "write",
]
