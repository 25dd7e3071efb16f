"""Live engagement scores for event sessions.

                 Supervisor: starts, watches, restarts and drains all others
                                          │
Redis ──▶ Router ──▶ Session (one each) ──┬──▶ Writer ────▶ TimescaleDB ◀── Retention
            │ ▲        ▲                  └──▶ Publisher ──▶ Redis ──▶ dashboard ──▶ browser
  watermark ▼ │        │ Tick
            Ticker ────┘         Checkpointer · LeaseKeeper ──▶ Redis     Stats ──▶ log

Tick: an instant when sessions are scored. Watermark: all earlier events were read.
Window: the minute before a tick. Outbox: rows awaiting the database. Fence: rejects former owners.

`domain` decides what happens, `actors` when, and `adapters` how servers are reached.
"""
