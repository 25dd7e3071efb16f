"""Live engagement scores for event sessions.

             ┌───────────── Supervisor: starts, watches, restarts, drains ─────────────┐
Redis ──▶ Router ──▶ Session (one per session) ──▶ Writer ────▶ TimescaleDB
             ▲              │                └───▶ Publisher ──▶ Redis ──▶ dashboard (port 3002)
          Ticker            └ rolling deques, score

Three questions, three folders: `domain` = what is decided (pure), `actors` = when,
`adapters` = how the outside world is reached. Code depends one way:
`__main__ > cli > demo > service | replay > settings | logs > actors | adapters > ports > domain`.
"""
