"""The real-time service: fed through two ports alone, so any number can run, in any process.

```
UpdateSubscriber ──▶ hub (newest and last 5 minutes of each session)
              │       └──▶ api (HTTP)         auth, origins: who may ask, from where
              └──▶ broadcast ──▶ socketio ──▶ timeouts (TCP, each wait with a deadline)
HistoryReader ──▶ recent (what the hub has not received)
```

Everything but `Dashboard` runs on one event loop, so nothing here takes a lock.
"""
