"""Live engagement scores for event sessions.

            Supervisor: starts, watches, restarts and drains all others

Redis ──▶ Router ──▶ Session (one each) ──┬──▶ Writer ─────▶ TimescaleDB ◀── Retention
            │ ▲         ▲                 ├──▶ Publisher ──▶ Redis ──▶ dashboard ──▶ browser
  watermark ▼ │         │ Tick            ├──▶ Courier ────▶ Redis ──▶ platform
            Ticker ─────┘                 └──▶ Conductor ──▶ Redis (policy)

            Checkpointer · LeaseKeeper · Introspection ◀──▶ Redis

            Router ──▶ TitleWriter ──▶ TimescaleDB ◀── Catalog
            TimescaleDB ──▶ Delivery ──▶ webhooks

Three questions, three packages: `domain` decides what happens (pure), `actors` when, and `adapters`
how servers are reached. Code depends in one direction, which import-linter checks:

__main__ > cli > commands > cluster > app > settings
    > actors | adapters | dashboard | simulate > observability > outages | ports > exports > wire
    > threads > compiled | instants | log_events > domain > errors

Glossary:

tenant       a customer; its Redis names have a prefix
session      a talk, meeting or class, which is scored
entry        an event in a stream; its id is the event's time
watermark    the time before which all events were read
tick         an instant at which all sessions are scored
window       the minute before a tick
signal       a measure of the window, such as votes
row          a score in the database
update       a score published to Redis
gap          events that were never read
mailbox      the queue of messages to an actor
dispatcher   runs all sessions on a few threads
owner        the collector that processes events
standby      a collector that waits to take over
lease        makes a collector the owner until it expires
fence        rejects what a former owner writes
checkpoint   the states of all sessions, to resume from
outbox       rows that wait in Redis for the database
dead letter  an event or row that could not be processed
trial        a random choice of an intervention, whose outcome is measured
policy       what trials have taught: the sums that choices follow from
directive    what holds for all sessions of a tenant, such as its policy
quarantine   the time during which a failed session is not scored
asleep       a session with connected users, but no recent events
drain        finish all work, then stop
partition    a share of the sessions, which a host scores
host         a process that runs partitions
splitter     reads all events, and writes them to partitions
block        a partition's events of an interval
coordinator  moves partitions between hosts
"""
