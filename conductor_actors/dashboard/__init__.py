"""The real-time service: fed from Redis alone, so any number can run, in any process.

```
Redis ──▶ feed ──▶ hub (newest and last 5 minutes of each session)
                    │         └──▶ api (HTTP)         auth, guard: who may ask, from where
                    └──▶ audience ──▶ sockets (Socket.IO) ──▶ lines (TCP, each with a deadline)
database ──▶ history (what the hub has not heard)
```

Everything but `Dashboard` runs on one event loop, so nothing here takes a lock.
"""
