"""The dashboard. It reads through two ports only, so any number can run, in any process.

```
UpdateSubscriber ──▶ fan_out ──▶ live_sessions ──▶ api (HTTP)
                        │        (newest update and last 5 minutes of each)
                        └──────▶ broadcast ──▶ socketio ──▶ connections ──▶ timeouts (TCP)
HistoryReader ──▶ recent_history (points that were not received)

proxies, origins, auth: through which proxy, from where, and who has access
```

Everything but `Dashboard` runs on one event loop, so nothing here takes a lock.
"""
